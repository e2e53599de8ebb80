"""Reading from the log however long it is away."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import TypeVar
from uuid import UUID

from domain.deployment import Deployment
from handlers.backoff import Backoff
from handlers.decider import Decider
from handlers.ports import LogUnavailable

log = logging.getLogger(__name__)

T = TypeVar("T")


async def read_patiently(read: Callable[[], Awaitable[T]], what: str, backoff: Backoff) -> T:
    """What ``read`` gives; while the log does not answer it is asked again after ``backoff``."""
    attempt = 0
    while True:
        try:
            return await read()
        except LogUnavailable as error:
            attempt += 1
            log.warning("Cannot load %s: %s", what, error)
            await asyncio.sleep(backoff.delay(attempt, 0.0))


async def load_patiently(decider: Decider, ids: Collection[UUID], backoff: Backoff) -> Mapping[UUID, Deployment]:
    """The deployments as last committed, as soon as the log answers."""
    return await read_patiently(lambda: decider.load(ids), "deployments", backoff)
