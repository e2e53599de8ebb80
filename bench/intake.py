"""Routekeeper's own way from a record to committed events, and to the views: the parts of a worker as they are."""

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from adapters.kafka.producer import DeadLetterProducer
from bench.load import write_running
from bench.surroundings import Surroundings, in_database
from handlers.app_proxy import ClientPool
from handlers.commit import Commit
from handlers.consumption import RecordHandler
from handlers.ports import Position
from handlers.records import PartitionId, ReceivedRecord
from service.bootstrap import ControlPlane, assemble
from adapters.kafka.consumer import RecordConsumer
from adapters.kafka.topics import Topics
from projections.catalogue import VIEWS
from projections.runner import ProjectionRunner
from service.kafka_access import KafkaAccess
from service.settings import Settings
from service.stores import stores_of


class NoProxy:
    """A pool of clients that nobody asks: in these measurements nothing is reconciled."""

    def load_client_session(self, *_: Any) -> Any:  # noqa: ANN401 - as the port has it
        raise NotImplementedError


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


async def intake_rate(
    site: Surroundings, topics: Topics, ids: Sequence[UUID], count: int, *, postgres: bool = True, views: bool = False
) -> float:
    """Commands a second from partitions being assigned to the last one committed, with ``views`` also visible there."""
    settings, access = site.new_group(topics)
    if postgres:
        settings = in_database(settings, site.new_database())
    stores = stores_of(settings)
    log = stores.open_log()
    engine = stores.open_views()
    dead_letters = DeadLetterProducer(access.connection, topics)
    try:
        await write_running(log, ids, routes=2)
        plane = assemble(
            settings,
            event_log=log,
            dead_letters=dead_letters,
            client_pool=NoProxy(),
            proxy_targets={},
            partitions=topics.partitions,
        )
        runner = ProjectionRunner(engine, VIEWS, log, batch_size=500, cached_rows=settings.projections.cached_rows)
        if views:
            await runner.catch_up()
        return await _measured(plane, access, topics, count, runner if views else None)
    finally:
        await dead_letters.close()
        engine.dispose()
        log.close()


async def _measured(
    plane: ControlPlane, access: KafkaAccess, topics: Topics, count: int, runner: ProjectionRunner | None
) -> float:
    all_committed, wake, stop = asyncio.Event(), asyncio.Event(), asyncio.Event()
    committed = 0
    last_position = 0

    def note(commit: Commit) -> None:
        nonlocal committed, last_position
        committed += len(commit.events)
        last_position = max(last_position, commit.position)
        wake.set()
        if committed >= count:
            all_committed.set()

    plane.decider.listen(note)
    handler = FromAssignment(plane.intake)
    consumer = RecordConsumer(handler, access.connection, topics, epoch=access.epoch, settings=access.consumer)
    deciding = asyncio.create_task(plane.decider.run())
    consuming = asyncio.create_task(consumer.run(stop))
    projecting = asyncio.create_task(runner.run(stop, wake)) if runner is not None else None
    try:
        async with asyncio.timeout(20):
            waiting = asyncio.create_task(all_committed.wait())
            ended, _ = await asyncio.wait([waiting, deciding, consuming], return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                task.result()
            while runner is not None and min(runner.positions.values(), default=0) < last_position:
                await asyncio.sleep(0.001)
        return count / (time.perf_counter() - handler.begun)
    finally:
        stop.set()
        wake.set()
        await consuming
        if projecting is not None:
            await projecting
        deciding.cancel()
        await asyncio.wait([deciding])
