"""Routekeeper's own way from a record to committed events, and to the views: the parts of a worker as they are."""

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from uuid import UUID

from adapters.kafka.consumer import RecordConsumer
from adapters.kafka.topics import Topics
from bench.load import write_running
from bench.planes import plane_over
from bench.surroundings import Surroundings, in_database
from handlers.commit import Commit, CommitListener
from handlers.consumption import RecordHandler
from handlers.ports import Position
from handlers.records import PartitionId, ReceivedRecord
from projections.catalogue import VIEWS
from projections.runner import ProjectionRunner
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
    time for one command.
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
    """Handle the commands (count) of the settings' topics, with ``views`` projected as well, in this process.

    ``listener`` is told of every commit.
    """
    stores = stores_of(settings)
    engine = stores.open_views()
    try:
        with closing(stores.open_log()) as log:
            plane = plane_over(settings, log)
            if listener is not None:
                plane.decider.listen(listener)
            if not views:
                return await _measured(plane, settings, access, count, None)
            limits = settings.projections
            runner = ProjectionRunner(engine, VIEWS, log, batch_size=limits.batch_size, cached_rows=limits.cached_rows)
            await runner.catch_up()
            return await _measured(plane, settings, access, count, runner)
    finally:
        engine.dispose()


class _Progress:
    """Counts what is committed."""

    def __init__(self, count: int) -> None:
        self.done, self.wake = asyncio.Event(), asyncio.Event()
        self.first_at = self.busy = 0.0
        self.position = self._committed = 0
        self._count = count

    def __call__(self, commit: Commit) -> None:
        if not self._committed:
            self.first_at, self.busy = time.perf_counter(), time.process_time()
            self._first = len(commit.events)
        self._committed += len(commit.events)
        self.position = max(self.position, commit.position)
        self.wake.set()
        if self._committed >= self._count:
            self.done.set()

    def cpu_microseconds(self) -> float:
        """For one command after those of the first commit."""
        return (time.process_time() - self.busy) / max(1, self._committed - self._first) * 1e6


async def _measured(
    plane: ControlPlane, settings: Settings, access: KafkaAccess, count: int, runner: ProjectionRunner | None
) -> Handled:
    progress, stop = _Progress(count), asyncio.Event()
    plane.decider.listen(progress)
    handler = FromAssignment(plane.intake)
    topics = settings.kafka.topics
    consumer = RecordConsumer(handler, access.connection, topics, epoch=access.epoch, settings=access.consumer)
    started = time.perf_counter()
    tasks = [asyncio.create_task(plane.decider.run()), asyncio.create_task(consumer.run(stop))]
    if runner is not None:
        tasks.append(asyncio.create_task(runner.run(stop, progress.wake)))
    try:
        async with asyncio.timeout(_PATIENCE):
            waiting = asyncio.create_task(progress.done.wait())
            ended, _ = await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                task.result()
            while runner is not None and min(runner.positions.values(), default=0) < progress.position:  # noqa: ASYNC110 - a runner tells nobody
                await asyncio.sleep(0.001)
        rate = count / (time.perf_counter() - handler.begun)
        return Handled(rate, progress.first_at - started, progress.cpu_microseconds())
    finally:
        stop.set()
        progress.wake.set()
        await asyncio.wait(tasks[1:])
        tasks[0].cancel()
        await asyncio.wait(tasks)
