"""A control plane without a consumer, whose decider runs: for what is measured behind the intake."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from handlers.client_session import ClientPool
from handlers.deployment_repository import ScalingGroupProxyTarget
from handlers.ports import DeadLetters, EventLog
from handlers.records import PartitionId, ReceivedRecord, Refusal
from service.bootstrap import ControlPlane, assemble
from service.settings import Settings


class NothingRefused(DeadLetters):
    """Nothing that is measured is to be refused."""

    async def send(self, refused: Sequence[tuple[ReceivedRecord, Refusal]]) -> None:
        raise AssertionError(refused)


class NoProxy:
    """A pool of clients that nobody asks, where nothing is reconciled."""

    def load_client_session(self, *_: Any) -> Any:  # noqa: ANN401 - as the port has it
        raise NotImplementedError


def plane_over(
    settings: Settings,
    log: EventLog,
    *,
    client_pool: ClientPool | None = None,
    proxy_targets: Mapping[str, ScalingGroupProxyTarget] | None = None,
) -> ControlPlane:
    """Put a control plane together over a log."""
    return assemble(
        settings,
        event_log=log,
        dead_letters=NothingRefused(),
        client_pool=client_pool or NoProxy(),
        proxy_targets=proxy_targets or {},
        partitions=settings.kafka.topics.partitions,
    )


@asynccontextmanager
async def deciding(plane: ControlPlane, settings: Settings) -> AsyncIterator[None]:
    """Own all partitions, and decide for the length of the block."""
    topics = settings.kafka.topics
    plane.ownership.gain([PartitionId(topics.commands, "bench", number) for number in range(topics.partitions)])
    decider = asyncio.create_task(plane.decider.run())
    try:
        yield
    finally:
        decider.cancel()
        await asyncio.wait([decider])
