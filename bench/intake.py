"""Routekeeper's own way from a record to committed events, and to the views: the parts of a worker as they are."""

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from uuid import UUID

from adapters.kafka.consumer import RecordConsumer
from adapters.kafka.topics import Topics
from bench.load import write_running
from bench.planes import plane_over
from bench.projector import Projector, projecting
from bench.surroundings import Surroundings, in_database
from handlers.commit import Commit, CommitListener
from handlers.consumption import RecordHandler
from handlers.ports import Position
from handlers.records import PartitionId, ReceivedRecord
from service.bootstrap import ControlPlane
from service.kafka_access import KafkaAccess
from service.settings import Settings
from service.stores import stores_of

#: The longest that a measurement may take (seconds).
_PATIENCE = 600.0


class FromAssignment:
    """The handler it is given, and the moment from which on records could be read."""

    def __init__(self, handler: RecordHandler) -> None:
        self._handler = handler
        self.begun = 0.0

    async def assigned(self, origins: Collection[PartitionId]) -> Mapping[PartitionId, Position | None]:
        positions = await self._handler.assigned(origins)
        self.begun = time.perf_counter()
        return positions

    async def revoked(self, origins: Collection[PartitionId]) -> None:
        await self._handler.revoked(origins)

    async def handle(self, records: Sequence[ReceivedRecord]) -> None:
        await self._handler.handle(records)


@dataclass(frozen=True, slots=True)
class Handled:
    """How handling commands went.

    ``rate``: commands a second from partitions being assigned to the last one committed, and where there are views
    visible. ``first_seconds``: from the consumer's start to the first commit. ``cpu_microseconds``: the processor's
    time for one command, the projector's included.
    """

    rate: float
    first_seconds: float
    cpu_microseconds: float


async def intake_rate(
    site: Surroundings, topics: Topics, ids: Sequence[UUID], count: int, *, postgres: bool = True, views: bool = False
) -> float:
    """Commands a second, committed, and with ``views`` also visible there."""
    settings, access = await prepared(site, topics, ids, postgres=postgres)
    return (await handle_all(settings, access, count, views=views)).rate


async def prepared(
    site: Surroundings, topics: Topics, ids: Sequence[UUID], *, postgres: bool = True
) -> tuple[Settings, KafkaAccess]:
    """Settings of a worker whose log holds these deployments, and that has read no record."""
    settings, access = site.new_group(topics)
    if postgres:
        settings = in_database(settings, site.new_database())
    with closing(stores_of(settings).open_log()) as log:
        await write_running(log, ids, routes=2)
    return settings, access


async def handle_all(
    settings: Settings,
    access: KafkaAccess,
    count: int,
    *,
    views: bool = False,
    listener: CommitListener | None = None,
) -> Handled:
    """Handle the commands (count) of the settings' topics; with ``views`` a projector beside folds them.

    ``listener`` is told of every commit.
    """
    async with AsyncExitStack() as stack:
        log = stack.enter_context(closing(stores_of(settings).open_log()))
        plane = plane_over(settings, log)
        if listener is not None:
            plane.decider.listen(listener)
        projector = await stack.enter_async_context(projecting(settings)) if views else None
        return await _measured(plane, settings, access, count, projector)


class _Progress:
    """Counts what is committed."""

    def __init__(self, count: int, heard: Callable[[], None]) -> None:
        self.done = asyncio.Event()
        self.first_at = self._busy = 0.0
        self.position = self._committed = 0
        self._count = count
        self._heard = heard

    def __call__(self, commit: Commit) -> None:
        if not self._committed:
            self.first_at, self._busy = time.perf_counter(), time.process_time()
            self._first = len(commit.events)
        self._committed += len(commit.events)
        self.position = max(self.position, commit.position)
        self._heard()
        if self._committed >= self._count:
            self.done.set()

    def cpu_microseconds(self, elsewhere: float) -> float:
        """For one command: of this process after the first commit, and ``elsewhere`` for all of them (seconds)."""
        here = (time.process_time() - self._busy) / max(1, self._committed - self._first)
        return (here + elsewhere / self._count) * 1e6


async def _measured(
    plane: ControlPlane, settings: Settings, access: KafkaAccess, count: int, projector: Projector | None
) -> Handled:
    progress, stop = _Progress(count, projector.heard if projector else lambda: None), asyncio.Event()
    plane.decider.listen(progress)
    handler = FromAssignment(plane.intake)
    topics = settings.kafka.topics
    consumer = RecordConsumer(handler, access.connection, topics, epoch=access.epoch, settings=access.consumer)
    started = time.perf_counter()
    tasks = [asyncio.create_task(plane.decider.run()), asyncio.create_task(consumer.run(stop))]
    try:
        async with asyncio.timeout(_PATIENCE):
            waiting = asyncio.create_task(progress.done.wait())
            ended, _ = await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                task.result()
            elsewhere = await projector.reach(progress.position) if projector else 0.0
        rate = count / (time.perf_counter() - handler.begun)
        return Handled(rate, progress.first_at - started, progress.cpu_microseconds(elsewhere))
    finally:
        stop.set()
        await asyncio.wait(tasks[1:])
        tasks[0].cancel()
        await asyncio.wait(tasks)
