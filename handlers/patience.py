"""Loading deployments however long the log is away."""

import asyncio
import logging
from collections.abc import Collection, Mapping
from uuid import UUID

from domain.deployment import Deployment
from handlers.backoff import Backoff
from handlers.decider import Decider
from handlers.ports import LogUnavailable

log = logging.getLogger(__name__)


async def load_patiently(decider: Decider, ids: Collection[UUID], backoff: Backoff) -> Mapping[UUID, Deployment]:
    """The deployments as last committed; while the log does not answer it is asked again after ``backoff``."""
    attempt = 0
    while True:
        try:
            return await decider.load(ids)
        except LogUnavailable as error:
            attempt += 1
            log.warning("Cannot load deployments: %s", error)
            await asyncio.sleep(backoff.delay(attempt, 0.0))
