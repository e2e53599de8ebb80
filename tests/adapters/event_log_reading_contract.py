"""What every event store must answer, whichever database it stands on; see ``event_log_contract``."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from adapters.event_store.event_log import RecorderEventLog
from domain.events import DeploymentCreated, ReplicaCountSet
from domain.evolve import replay
from domain.recorded import OperationCause, RecordCause, RecordedEvent, SystemEvent, UnreadableEvent
from domain.rejections import RecordsRejected, RejectedRecord, rejection_stream
from handlers.ports import CommandOutcome, LogBatch, Outcome, UnknownEventType
from tests.adapters.event_log_support import AT, FAR_FUTURE, LogFixtures, LogStore, due, error_of, events, outcome

Read = Callable[[RecorderEventLog, UUID], Awaitable[object]]


def created(deployment_id: UUID) -> RecordedEvent:
    """The first event of a deployment."""
    what = DeploymentCreated(
        at=AT,
        deployment_id=deployment_id,
        deployment_name="llama",
        resource_group="gpu",
        domain="default",
        project=uuid4(),
        owner=uuid4(),
        open_to_public=False,
        replica_count=1,
        digest="",
    )
    return RecordedEvent(deployment_id, 1, OperationCause(operation="test"), what)


def counted(deployment_id: UUID, version: int, replicas: int) -> RecordedEvent:
    """The number of replicas was set."""
    what = ReplicaCountSet(at=AT, previous=1, replica_count=replicas)
    return RecordedEvent(deployment_id, version, OperationCause(operation="test"), what)


class ReadContract(LogFixtures):
    """The log gives back what was written, in order."""

    async def test_an_empty_log_has_nothing(self, log: RecorderEventLog) -> None:
        assert await log.head() == 0
        assert list(await log.read(after=0, limit=10)) == []
        assert list(await log.stream(uuid4())) == []
        assert await log.stream_version(uuid4()) == 0
        assert await log.deployments([uuid4()]) == {}
        assert await log.position_at(FAR_FUTURE) == 0

    async def test_outcomes_are_told_as_far_as_they_are_known(self, log: RecorderEventLog) -> None:
        rejected = CommandOutcome("console", "two", Outcome.REJECTED)
        await log.append(LogBatch(outcomes=[outcome("one"), rejected]))

        known = await log.outcomes([("console", "one"), ("console", "two"), ("console", "three"), ("other", "one")])

        assert known == {("console", "one"): Outcome.ACCEPTED, ("console", "two"): Outcome.REJECTED}
        assert await log.outcomes([]) == {}

    async def test_reading_goes_on_behind_a_position_in_log_order(self, log: RecorderEventLog) -> None:
        first, second = events(3), events(2)
        positions = [*await log.append(LogBatch(events=first)), *await log.append(LogBatch(events=second))]

        read = [*await log.read(after=0, limit=2)]
        while some := await log.read(after=read[-1].position, limit=2):
            assert len(some) <= 2
            read += some

        assert [logged.position for logged in read] == positions
        assert [logged.recorded for logged in read] == [*first, *second]
        assert list(await asyncio.to_thread(log.read_blocking, after=positions[0], limit=2)) == read[1:3]
        assert await log.head() == positions[-1]
        assert list(await log.read(after=positions[-1], limit=10)) == []

    async def test_a_stream_is_read_by_itself_with_its_positions_in_the_whole_log(self, log: RecorderEventLog) -> None:
        one, other = events(2), events(2)
        await log.append(LogBatch(events=[one[0], other[0], one[1], other[1]]))

        stream = await log.stream(other[0].stream_id)

        everything = {logged.recorded.event_id: logged.position for logged in await log.read(after=0, limit=10)}
        assert [logged.recorded for logged in stream] == other
        assert [logged.position for logged in stream] == [everything[event.event_id] for event in other]
        assert await log.stream_version(one[0].stream_id) == 2

    async def test_deployments_are_what_their_events_add_up_to(self, log: RecorderEventLog) -> None:
        one, other, nobody = uuid4(), uuid4(), uuid4()
        history = [created(one), counted(one, 2, 5), counted(one, 3, 7)]
        await log.append(LogBatch(events=[history[0], created(other), *history[1:]]))

        found = await log.deployments([one, other, nobody])

        assert found.keys() == {one, other}
        assert found[one] == replay(r.event for r in history if not isinstance(r.event, SystemEvent))
        assert found[one].replica_spec.replica_count == 7

    async def test_a_stream_of_refused_records_is_no_deployment(self, log: RecorderEventLog) -> None:
        stream = rejection_stream("commands", "epoch-1", 0)
        record = RejectedRecord(offset=3, digest="", length=0, code="invalid-json", field="", value="", reason="")
        what = RecordsRejected(at=AT, topic="commands", epoch="epoch-1", partition=0, records=(record,))
        cause = RecordCause(topic="commands", epoch="epoch-1", partition=0, offset=3)
        await log.append(LogBatch(events=[RecordedEvent(stream, 1, cause, what)]))

        assert await log.deployments([stream]) == {}
        assert [logged.recorded.event for logged in await log.stream(stream)] == [what]

    async def test_many_read_at_once_while_somebody_writes(self, log: RecorderEventLog) -> None:
        stream = uuid4()
        batches = [LogBatch(events=[event]) for event in events(20, stream)]

        versions, *_ = await asyncio.gather(
            asyncio.gather(*(log.stream_version(stream) for _ in range(100))), *map(log.append, batches)
        )

        assert set(versions) <= set(range(21))
        assert await log.stream_version(stream) == 20


async def read_to_the_end(log: RecorderEventLog) -> None:
    """Read event by event, as followers do."""
    position = 0
    while some := await log.read(after=position, limit=10):
        position = some[-1].position


class UnknownEventContract(LogFixtures):
    """An event that this version does not know stops its readers, and nothing that a row names is imported."""

    @pytest.mark.parametrize(
        "topic", ["deployment.from-the-future.v9", "os:system", "this:d", "", "domain.events:Event"]
    )
    @pytest.mark.parametrize(
        "read",
        [
            pytest.param(lambda log, _: read_to_the_end(log), id="log"),
            pytest.param(lambda log, stream: log.stream(stream), id="stream"),
            pytest.param(lambda log, stream: log.deployments([stream]), id="deployment"),
        ],
    )
    async def test_it_stops_the_reader_and_imports_nothing(
        self, store: LogStore, log: RecorderEventLog, topic: str, read: Read
    ) -> None:
        deployment = uuid4()
        await log.append(LogBatch(events=[created(deployment)]))
        store.plant_event(deployment, 2, topic, b"{}")

        refusal = await error_of(read(log, deployment))

        assert type(refusal) is UnknownEventType
        assert repr(topic) in str(refusal)
        assert "this" not in sys.modules

    async def test_other_deployments_are_still_there(self, store: LogStore, log: RecorderEventLog) -> None:
        known, unknown = uuid4(), uuid4()
        await log.append(LogBatch(events=[created(known), created(unknown)]))
        store.plant_event(unknown, 2, "deployment.from-the-future.v9", b"{}")

        assert (await log.deployments([known])).keys() == {known}

    async def test_what_is_not_understood_can_be_told_instead_of_raised(
        self, log: RecorderEventLog, store: LogStore
    ) -> None:
        stream = uuid4()
        await log.append(LogBatch(events=[created(stream)]))
        store.plant_event(stream, 2, "deployment.never-heard-of.v1", b"{}")
        store.plant_event(stream, 3, "deployment.ready.v1", b"no JSON")
        await log.append(LogBatch(events=[counted(stream, 4, 2)]))

        first, *unreadable, last = await log.read_all(after=0, limit=10)

        assert [first, last] == [*(await log.read(after=0, limit=1)), *(await log.read(after=3, limit=1))]
        unknown, shapeless = unreadable
        assert isinstance(unknown, UnreadableEvent)
        assert isinstance(shapeless, UnreadableEvent)
        assert (unknown.position, unknown.version, unknown.type) == (2, 2, "deployment.never-heard-of.v1")
        assert (shapeless.position, shapeless.version, shapeless.type) == (3, 3, "deployment.ready.v1")
        assert "unknown event type 'deployment.never-heard-of.v1'" in unknown.reason
        assert "has another shape: Invalid JSON" in shapeless.reason


class CommitTimeContract(LogFixtures):
    """A moment has a position: that of the last event that was committed by then."""

    async def test_a_moment_gives_the_last_event_committed_by_then(
        self, store: LogStore, log: RecorderEventLog
    ) -> None:
        store.plant_commit(10, AT)
        store.plant_commit(20, AT + timedelta(seconds=1))

        by_moment = {
            seconds: await log.position_at(AT + timedelta(seconds=seconds)) for seconds in (-0.001, 0, 0.999, 1, 60)
        }

        assert by_moment == {-0.001: 0, 0: 10, 0.999: 10, 1: 20, 60: 20}

    async def test_commits_are_read_from_the_one_before_to_the_one_that_reaches_the_end(
        self, store: LogStore, log: RecorderEventLog
    ) -> None:
        assert await log.last_commit() == 0
        for position in (10, 20, 30, 40):
            store.plant_commit(position, AT)

        found = [await log.commits(first=first, last=last) for first, last in ((1, 5), (21, 31), (31, 99))]
        assert [[commit.position for commit in each] for each in found] == [[10], [20, 30, 40], [30, 40]]
        assert await log.last_commit() == 40

    async def test_a_commit_is_timed_by_the_clock(self, log: RecorderEventLog) -> None:
        minute = timedelta(minutes=1)
        before = datetime.now(UTC) - minute
        [position] = await log.append(LogBatch(events=events(1)))

        assert await log.position_at(before) == 0
        assert await log.position_at(datetime.now(UTC) + minute) == position

    async def test_where_the_clock_was_set_back_time_stands_still_instead(
        self, store: LogStore, log: RecorderEventLog
    ) -> None:
        """A commit is never older than the one before it."""
        [earlier] = await log.append(LogBatch(events=events(1)))
        store.plant_commit(earlier + 1, FAR_FUTURE)
        store.plant_event(uuid4(), 1, "deployment.ready.v1", b"{}")

        [later] = await log.append(LogBatch(events=events(1)))

        assert later == earlier + 2
        assert await log.position_at(FAR_FUTURE - timedelta(microseconds=1)) == earlier
        assert await log.position_at(FAR_FUTURE) == later


class DueWorkContract(LogFixtures):
    """The log says who is due."""

    async def test_who_is_due_by_a_moment_comes_with_everything_that_was_said(self, log: RecorderEventLog) -> None:
        late, early, future = uuid4(), uuid4(), uuid4()
        by_now = [due(late, 3, AT, 1), due(early, 2, AT - timedelta(microseconds=1), 6)]
        await log.append(LogBatch(events=events(1), due=[*by_now, due(future, 1, AT + timedelta(microseconds=1))]))

        found = await log.due_work(partitions=range(10), of=10, until=AT)

        assert list(found) == [by_now[1], by_now[0]]

    async def test_only_the_deployments_of_the_partitions_asked_for_come(self, log: RecorderEventLog) -> None:
        ids = {place: uuid4() for place in (0, 1, 2, 3, 7, 2**31 - 1)}
        await log.append(LogBatch(events=events(1), due=[due(key, 1, AT, place) for place, key in ids.items()]))

        found = await log.due_work(partitions=[0, 3], of=4, until=AT)

        assert {work.deployment_id for work in found} == {ids[0], ids[3], ids[7], ids[2**31 - 1]}
        assert list(await log.due_work(partitions=[], of=4, until=AT)) == []

    async def test_the_newest_version_counts_and_an_older_one_changes_nothing(self, log: RecorderEventLog) -> None:
        deployment = uuid4()
        newest = due(deployment, 3, AT - timedelta(seconds=3))
        for work in (due(deployment, 2), newest, due(deployment, 1, AT - timedelta(days=1))):
            await log.append(LogBatch(events=events(1), due=[work]))

        assert list(await log.due_work(partitions=[0], of=1, until=AT)) == [newest]

    async def test_who_is_not_due_any_more_goes_unless_a_newer_version_is(self, log: RecorderEventLog) -> None:
        gone, stays = uuid4(), uuid4()
        await log.append(LogBatch(events=events(1), due=[due(gone, 2), due(stays, 5)]))

        await log.append(
            LogBatch(events=events(1), due=[due(gone, 3, None), due(stays, 4, None), due(uuid4(), 1, None)])
        )

        assert [w.deployment_id for w in await log.due_work(partitions=[0], of=1, until=AT)] == [stays]


class FollowerContract(LogFixtures):
    """Those who follow the log keep their place in it."""

    async def test_a_follower_begins_at_zero_and_moves_from_where_it_is(self, log: RecorderEventLog) -> None:
        assert await log.follower("publisher") == 0
        assert await log.move_follower("publisher", expected=0, following=5)
        assert await log.move_follower("publisher", expected=5, following=9)

        assert await log.follower("publisher") == 9
        assert await log.follower("views") == 0

    async def test_a_follower_does_not_move_from_where_it_is_not(self, log: RecorderEventLog) -> None:
        await log.move_follower("publisher", expected=0, following=5)

        assert [await log.move_follower("publisher", expected=wrong, following=9) for wrong in (0, 4, 6)] == [False] * 3
        assert not await log.move_follower("views", expected=3, following=4)
        assert [await log.follower(name) for name in ("publisher", "views")] == [5, 0]

    async def test_of_two_who_move_the_same_follower_one_wins_every_time(self, store: LogStore) -> None:
        logs = [store.open(), store.open()]

        for place in range(20):
            moved = await asyncio.gather(
                *(log.move_follower("publisher", expected=place, following=place + 1) for log in logs)
            )
            assert sorted(moved) == [False, True]
