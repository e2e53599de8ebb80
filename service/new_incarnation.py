"""Makes it safe to go on with a log that was restored from an older copy."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from pydantic import ValidationError

from adapters.event_store.event_log import RecorderEventLog
from adapters.kafka.connection import KafkaConnection
from adapters.kafka.continuity import last_places
from adapters.kafka.desired_routes import DesiredRoute, desired_now
from adapters.kafka.ordered_sending import send_in_order
from adapters.kafka.partitioner import partition_hash
from adapters.kafka.producer_session import ProducerSession
from adapters.kafka.published import OutgoingRecord, place_headers
from adapters.kafka.topic_reading import PartitionContent, read_topics
from adapters.kafka.topics import Topics
from domain.chunks import chunks
from domain.commands import DoubtEndpoint
from domain.deployment import Deployment
from domain.errors import RoutekeeperError
from domain.events import DeploymentCreated, DeploymentDestroyed
from domain.incarnations import INCARNATIONS_ID, IncarnationBegun, RereadPartition
from domain.operations import NEW_INCARNATION
from domain.recorded import OperationCause, RecordedEvent
from handlers.draft import DecisionContext, Draft
from handlers.ports import LogBatch
from handlers.records import PartitionId
from handlers.standing_facts import read_standing_facts
from handlers.submission import CommandItem, Submission
from projections.catalogue import VIEWS
from projections.runner import ProjectionRunner
from service.kafka_access import KafkaAccess
from service.log_sharing import LOG_LOCK
from service.settings import Settings
from service.stores import Stores

_CAUSE = OperationCause(operation=NEW_INCARNATION)
_MAX_REQUEST_BYTES = 4 * 1024 * 1024
#: Events, and deployments, that are looked at in one go (count).
_AT_ONCE = 1_000
#: How long to wait for workers to be gone, and for a topic to be read (seconds).
_PATIENCE = 10.0
_READING = 600.0


class WorkersRunning(RoutekeeperError):
    """Somebody works on the log, which nobody else may write to now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LostRecords:
    """Records of a partition that were deleted before they were read, from one offset to another."""

    topic: str
    partition: int
    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewIncarnation:
    """What was done: numbers are counts; and what cannot be known from the log.

    ``strangers`` are deployments that have routes published and that the log does not know: they come back when their
    commands are read again, unless those are among ``lost``.
    """

    incarnation: int
    after_position: int
    doubted: int
    routes: int
    ghosts: int
    strangers: Sequence[UUID]
    lost: Sequence[LostRecords]


async def begin_incarnation(
    settings: Settings, stores: Stores, kafka: KafkaAccess, *, now: datetime, actor: str
) -> NewIncarnation:
    """Declare what the log holds to be all that happened, and have everything outside brought into line with it.

    All endpoints are in doubt then: a worker asserts or deletes them again. Routes are published as they should be,
    views are built anew. Safe to repeat. Raises :class:`WorkersRunning`, and what database and Kafka raise.
    """
    with closing(stores.open_log()) as log:
        restored = _Restored(settings, kafka, log, now=now, actor=actor)

        async def declare() -> None:
            await restored.declare(stores)

        await _alone(stores, declare)
    return restored.result()


@dataclass(slots=True)
class _Restored:
    settings: Settings
    kafka: KafkaAccess
    log: RecorderEventLog
    now: datetime
    actor: str
    _done: NewIncarnation | None = field(default=None, init=False)

    def result(self) -> NewIncarnation:
        if self._done is None:
            raise WorkersRunning("the log was never free")
        return self._done

    async def declare(self, stores: Stores) -> None:
        """The event comes last: until it is there, no worker starts, and all of this can be done again."""
        connection, topics = self.kafka.connection, self.settings.kafka.topics
        after = await self.log.head()
        standing = await read_standing_facts(self.log)
        places = await last_places(connection, (topics.events, topics.desired_routes))
        incarnation = 1 + max([standing.incarnation_number, *(place.incarnation for place in places)])
        inputs = await read_topics(connection, topics.inputs, only_last=True)
        begun = IncarnationBegun(
            at=self.now,
            incarnation=incarnation,
            after_position=after,
            settles_at=self.now + self._settling(),
            reread=tuple(self._reread(inputs)),
            actor=self.actor,
        )
        doubted, known, desired = 0, set[UUID](), list[DesiredRoute]()
        async for states in self._deployments():
            doubted += len(states)
            known |= states.keys()
            after_doubt = await self._doubt(states, begun.settles_at)
            desired += [route for state in after_doubt for route in desired_now(state)]
        published = await _published_routes(connection, topics)
        ghosts = _ghosts(published, desired)
        await self._publish([*desired, *ghosts], incarnation)
        await self._drop_views(stores)
        version = await self.log.stream_version(INCARNATIONS_ID) + 1
        await self.log.append(LogBatch(events=[RecordedEvent(INCARNATIONS_ID, version, _CAUSE, begun)]))
        self._done = NewIncarnation(
            incarnation=incarnation,
            after_position=after,
            doubted=doubted,
            routes=len(desired),
            ghosts=len(ghosts),
            strangers=sorted({ghost.deployment_id for ghost in ghosts} - known),
            lost=await self._lost(inputs),
        )

    def _settling(self) -> timedelta:
        proxy = self.settings.proxy
        return timedelta(seconds=proxy.call_timeout_seconds + proxy.settle_seconds)

    def _reread(self, inputs: Mapping[tuple[str, int], PartitionContent]) -> list[RereadPartition]:
        return [
            RereadPartition(topic=topic, epoch=self.kafka.epoch, partition=number, until=content.end)
            for (topic, number), content in inputs.items()
        ]

    async def _deployments(self) -> AsyncIterator[Mapping[UUID, Deployment]]:
        """All that are not over, by the log alone."""
        position, there = 0, dict[UUID, None]()
        while events := await self.log.read(after=position, limit=_AT_ONCE):
            position = events[-1].position
            for logged in events:
                match logged.recorded.event:
                    case DeploymentCreated():
                        there[logged.recorded.stream_id] = None
                    case DeploymentDestroyed():
                        there.pop(logged.recorded.stream_id, None)
                    case _:
                        continue
        for some in chunks(list(there), _AT_ONCE):
            yield await self.log.deployments(some)

    async def _doubt(self, states: Mapping[UUID, Deployment], settles_at: datetime) -> Sequence[Deployment]:
        context = DecisionContext(limits=self.settings.decisions, new_id=uuid4, partition_hash=partition_hash)
        draft = Draft(context=context, now=self.now, states=dict(states), stream_versions={}, duplicates=set())
        items = [CommandItem(DoubtEndpoint(deployment_id=key, settles_at=settles_at), _CAUSE) for key in states]
        draft.add(Submission(items, (), asyncio.get_running_loop().create_future()))
        await self.log.append(draft.log_batch())
        return [state for state in draft.states.values() if state is not None]

    async def _publish(self, routes: Sequence[DesiredRoute], incarnation: int) -> None:
        session = ProducerSession(self.kafka.connection, max_request_bytes=_MAX_REQUEST_BYTES)
        position = await self.log.head()
        try:
            producer = await session.producer()
            for some in chunks(routes, _AT_ONCE):
                records = [
                    OutgoingRecord(
                        placed_by=route.route_id,
                        value=route.model_dump_json().encode(),
                        headers=place_headers(position, route.version, incarnation),
                    )
                    for route in some
                ]
                await send_in_order(producer, self.settings.kafka.topics.desired_routes, records)
        finally:
            await session.close()

    async def _drop_views(self, stores: Stores) -> None:
        engine = stores.open_views()
        try:
            await ProjectionRunner(engine, VIEWS, self.log).drop()
        finally:
            engine.dispose()

    async def _lost(self, inputs: Mapping[tuple[str, int], PartitionContent]) -> Sequence[LostRecords]:
        origins = {PartitionId(topic, self.kafka.epoch, number): (topic, number) for topic, number in inputs}
        positions = await self.log.positions(origins)
        lost = []
        for origin, key in origins.items():
            following = positions[origin].next if origin in positions else 0
            if following < inputs[key].beginning:
                last = inputs[key].beginning - 1
                lost.append(LostRecords(topic=origin.topic, partition=origin.partition, first=following, last=last))
        return lost


async def _published_routes(connection: KafkaConnection, topics: Topics) -> Mapping[UUID, DesiredRoute]:
    """What the topic says of each route now; those that are over are absent."""
    found: dict[bytes, bytes | None] = {}
    read = await read_topics(connection, [topics.desired_routes], only_last=False, give_up_after=_READING)
    for content in read.values():
        found |= {record.key: record.value for record in content.records}
    routes = {}
    for value in found.values():
        if value is None:
            continue
        try:
            route = DesiredRoute.model_validate_json(value)
        except ValidationError:
            continue  # not of this making, and nobody's command to stop anything
        routes[route.route_id] = route
    return routes


def _ghosts(published: Mapping[UUID, DesiredRoute], desired: Sequence[DesiredRoute]) -> list[DesiredRoute]:
    """Routes that are to run by the topic and that the log does not know: they are to be stopped."""
    known = {route.route_id for route in desired}
    stopped: dict[str, object] = {"desired": "stopped", "revision_id": None, "traffic_ratio": 0.0}
    return [
        route.model_copy(update=stopped)
        for route_id, route in published.items()
        if route_id not in known and route.desired == "running"
    ]


async def _alone(stores: Stores, work: Callable[[], Awaitable[None]]) -> None:
    """Do what nobody may work on the log beside. Raises :class:`WorkersRunning`."""
    begun, stop = asyncio.Event(), asyncio.Event()

    async def begin() -> None:
        begun.set()
        await work()

    running = asyncio.ensure_future(stores.run_alone(LOG_LOCK, begin, stop))
    waiting = asyncio.ensure_future(begun.wait())
    await asyncio.wait([running, waiting], timeout=_PATIENCE, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if not begun.is_set():
        stop.set()
    await running
    if not begun.is_set():
        raise WorkersRunning(
            f"somebody works on the log ({stores.log_place}): stop every worker, whether it follows the log or not, "
            "and every 'routekeeper follow'; then run this again"
        )
