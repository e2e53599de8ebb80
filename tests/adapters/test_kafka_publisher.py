import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from adapters.kafka.connection import KafkaConnection
from adapters.kafka.continuity import LogWentBack
from adapters.kafka.partitioner import partition_of
from adapters.kafka.publisher import EventPublisher, PublisherLimits
from adapters.kafka.topics import Topics
from domain.events import DeploymentReady, RouteStatusChange, RouteStatusReported, RoutesTerminating, ScaledOut
from domain.recorded import AnyEvent, LoggedEvent, OperationCause, RecordCause, RecordedEvent
from domain.registry import EVENT_TYPES
from domain.rejections import RecordsRejected, RejectedRecord, rejection_stream
from domain.routes import RouteStatus, TerminationReason
from handlers.backoff import Backoff
from tests.kafka_support import read_all

AT = datetime(2026, 3, 1, tzinfo=UTC)
CAUSE = RecordCause(
    topic="routekeeper.commands", epoch="one", partition=1, offset=9, source="/cli", id="c-1", actor="mina"
)


class MemoryLog:
    """A log with gaps in its positions, and where its followers are."""

    def __init__(self) -> None:
        self.events: list[LoggedEvent] = []
        self.followers: dict[str, int] = {}
        self.versions: dict[UUID, int] = defaultdict(int)
        self.moved = asyncio.Event()

    def add(self, stream_id: UUID, event: AnyEvent, cause: RecordCause | OperationCause = CAUSE) -> LoggedEvent:
        """Append an event."""
        self.versions[stream_id] += 1
        recorded = RecordedEvent(stream_id, self.versions[stream_id], cause, event)
        self.events.append(LoggedEvent(3 * len(self.events) + 1, recorded))
        return self.events[-1]

    async def read(self, *, after: int, limit: int) -> Sequence[LoggedEvent]:
        """At most ``limit`` events behind a position."""
        return [event for event in self.events if event.position > after][:limit]

    async def follower(self, name: str) -> int:
        """Where a follower is."""
        return self.followers.get(name, 0)

    async def move_follower(self, name: str, *, expected: int, following: int) -> bool:
        """Compare and set."""
        if self.followers.get(name, 0) != expected:
            return False
        self.followers[name] = following
        self.moved.set()
        return True

    async def until_published(self) -> None:
        """Wait until every event is."""
        async with asyncio.timeout(20):
            while max(self.followers.values(), default=0) < self.events[-1].position:
                self.moved.clear()
                await self.moved.wait()


@asynccontextmanager
async def publishing(
    kafka: KafkaConnection, topics: Topics, log: MemoryLog, *, epoch: str = "one", batch_size: int = 500
) -> AsyncIterator[asyncio.Event]:
    """A publisher that runs; gives what wakes it."""
    limits = PublisherLimits(batch_size=batch_size, poll_seconds=30.0)
    publisher = EventPublisher(kafka, topics, log, epoch=epoch, limits=limits, backoff=Backoff(base=0.01, cap=0.05))
    stop, wake = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(publisher.run(stop, wake))
    try:
        yield wake
    finally:
        stop.set()
        await asyncio.wait_for(running, 20)


async def test_every_event_is_published_with_what_caused_it(kafka: KafkaConnection, topics: Topics) -> None:
    """As a CloudEvent that names the same event each time; what was refused is published too."""
    log, deployment = MemoryLog(), uuid4()
    stream = rejection_stream("routekeeper.commands", "one", 1)
    rejected = RejectedRecord(offset=3, digest="d", length=1, code="invalid-json", field="", value="", reason="no JSON")
    log.add(deployment, DeploymentReady(at=AT, replicas=2), OperationCause(operation="check"))
    log.add(deployment, DeploymentReady(at=AT, replicas=3))
    log.add(stream, RecordsRejected(at=AT, topic="t", epoch="one", partition=1, records=(rejected,)))

    async with publishing(kafka, topics, log):
        await log.until_published()

    records = {json.loads(record.value)["id"]: record for record in await read_all(kafka, topics.events, 3)}
    assert set(records) == {f"{deployment}:1", f"{deployment}:2", f"{stream}:1"}
    second = records[f"{deployment}:2"]
    assert second.key == str(deployment).encode()
    assert second.partition == partition_of(deployment, 2)
    assert dict(second.headers) == {
        "content-type": b"application/cloudevents+json; charset=UTF-8",
        "position": b"4",
        "version": b"2",
        "incarnation": b"1",
    }
    event = json.loads(second.value)
    assert {name: event[name] for name in ("specversion", "source", "type", "subject", "time", "datacontenttype")} == {
        "specversion": "1.0",
        "source": "/routekeeper",
        "type": "deployment.ready.v1",
        "subject": str(deployment),
        "time": "2026-03-01T00:00:00Z",
        "datacontenttype": "application/json",
    }
    assert RecordCause.model_validate(event["data"]["cause"]) == CAUSE
    decoded = EVENT_TYPES[event["type"]].model_validate(event["data"]["event"])
    assert decoded == DeploymentReady(at=AT, replicas=3)


async def test_desired_routes_say_what_each_route_should_be(kafka: KafkaConnection, topics: Topics) -> None:
    """The last record of each key counts: running, stopped, or nothing when it is over."""
    log, deployment, revision = MemoryLog(), uuid4(), uuid4()
    stays, goes, gone = uuid4(), uuid4(), uuid4()
    log.add(deployment, ScaledOut(at=AT, route_ids=(stays, goes, gone), revision_id=revision, traffic_ratio=1.0))
    log.add(deployment, RoutesTerminating(at=AT, route_ids=(goes, gone), reason=TerminationReason.SCALE_IN))
    over = RouteStatusChange(route_id=gone, previous=RouteStatus.TERMINATING, status=RouteStatus.TERMINATED)
    log.add(deployment, RouteStatusReported(at=AT, changes=(over,), start_failures=0, scale_out_not_before=None))

    async with publishing(kafka, topics, log):
        await log.until_published()

    last = {r.key: r.value and json.loads(r.value) for r in await read_all(kafka, topics.desired_routes, 6)}
    running = {"desired": "running", "revision_id": str(revision), "traffic_ratio": 1.0, "version": 1}
    stopped = {"desired": "stopped", "revision_id": None, "traffic_ratio": 0.0, "version": 2}
    assert last == {
        str(stays).encode(): {"deployment_id": str(deployment), "route_id": str(stays), **running},
        str(goes).encode(): {"deployment_id": str(deployment), "route_id": str(goes), **stopped},
        str(gone).encode(): None,
    }


async def test_events_of_a_deployment_stay_in_order_over_many_batches(kafka: KafkaConnection, topics: Topics) -> None:
    """Through batches of the log, batches of the producer and several partitions."""
    log = MemoryLog()
    deployments = [uuid4() for _ in range(7)]
    for n in range(700):
        log.add(deployments[n % 7], DeploymentReady(at=AT, replicas=n), OperationCause(operation="x" * 250))

    async with publishing(kafka, topics, log, batch_size=300):
        await log.until_published()

    versions = defaultdict(list)
    for record in await read_all(kafka, topics.events, 700):
        versions[record.key].append(int(dict(record.headers)["version"]))
    assert list(versions.values()) == [list(range(1, 101))] * 7


async def test_a_restart_goes_on_where_it_was_left_and_new_topics_get_everything(
    kafka: KafkaConnection, topics: Topics
) -> None:
    """The position belongs to one incarnation of the topics; being woken is enough to go on at once."""
    log, deployment = MemoryLog(), uuid4()
    log.add(deployment, DeploymentReady(at=AT, replicas=1))
    async with publishing(kafka, topics, log):
        await log.until_published()
    async with publishing(kafka, topics, log) as wake:
        log.add(deployment, DeploymentReady(at=AT, replicas=2))
        wake.set()
        await log.until_published()
    async with publishing(kafka, topics, log, epoch="two"):
        pass  # told to stop, it still publishes what is left

    records = await read_all(kafka, topics.events, 4)
    assert [dict(record.headers)["version"] for record in records] == [b"1", b"2", b"1", b"2"]
    assert log.followers == {"publisher/one": 4, "publisher/two": 4}


async def test_another_publisher_that_was_faster_is_followed(kafka: KafkaConnection, topics: Topics) -> None:
    """Both have sent the same events, and the position moves once."""
    log, deployment = MemoryLog(), uuid4()
    for n in range(20):
        log.add(deployment, DeploymentReady(at=AT, replicas=n))

    async with publishing(kafka, topics, log, batch_size=5), publishing(kafka, topics, log, batch_size=7):
        await log.until_published()

    versions = [int(dict(record.headers)["version"]) for record in await read_all(kafka, topics.events, 20)]
    assert set(versions) == set(range(1, 21))


async def test_a_broker_that_is_away_holds_the_position_back(topics: Topics) -> None:
    """Nothing counts as published, and stopping takes no longer than letting go."""
    log = MemoryLog()
    log.add(uuid4(), DeploymentReady(at=AT, replicas=1))
    nowhere = KafkaConnection(bootstrap_servers="127.0.0.1:1")
    delays = asyncio.Event()

    def tried() -> float:
        delays.set()
        return 0.0

    publisher = EventPublisher(nowhere, topics, log, epoch="one", random=tried)
    stop = asyncio.Event()
    running = asyncio.create_task(publisher.run(stop, asyncio.Event()))
    await asyncio.wait_for(delays.wait(), 20)
    stop.set()
    await asyncio.wait_for(running, 20)

    assert log.followers == {}


async def test_a_position_that_goes_back_ends_the_publisher_with_the_command_to_run(
    kafka: KafkaConnection, topics: Topics
) -> None:
    """An older database was put in place under a running worker."""
    log = MemoryLog()
    log.add(uuid4(), DeploymentReady(at=AT, replicas=1))
    publisher = EventPublisher(kafka, topics, log, epoch="one", limits=PublisherLimits(poll_seconds=30.0))
    wake = asyncio.Event()
    running = asyncio.create_task(publisher.run(asyncio.Event(), wake))
    await log.until_published()
    wake.set()
    log.followers.clear()

    with pytest.raises(LogWentBack, match="routekeeper new-incarnation"):
        await asyncio.wait_for(running, 20)
