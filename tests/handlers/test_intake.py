"""Taking records in: understood, decided in order, and every partition's place kept by the log."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from domain.events import ReplicaCountSet
from domain.recorded import RecordCause
from handlers.intake import Intake
from handlers.ports import LogUnavailable, PositionConflict, VersionConflict
from handlers.records import ParsedRecord, PartitionId, ReceivedRecord
from handlers.submission import DeciderStopped, RecordItem
from tests.handlers.decision_support import (
    P0,
    P1,
    DecidingWorker,
    create,
    decider_limits,
    deployment,
    item,
    new_log,
    refusal,
    second,
    set_count,
)

D1, D2 = deployment(1), deployment(1, 1)
ROUTES = PartitionId("routes", "epoch-1", 0)


class Reader:
    """An intake on a decider of its own, fed with records that are understood already."""

    def __init__(self, worker: DecidingWorker, batch_size: int = 200) -> None:
        self.worker = worker
        self.log = worker.log
        self._parsed: dict[ReceivedRecord, ParsedRecord] = {}
        self.intake = Intake(
            worker.log, worker.decider, worker.ownership, self._parsed.__getitem__, batch_size=batch_size
        )

    async def handle(self, *items: RecordItem) -> None:
        """Hand over what the consumer has read."""
        self._parsed.update({each.record: each.parsed for each in items})
        await self.intake.handle([each.record for each in items])

    async def places(self, *origins: PartitionId) -> list[int | None]:
        """How far partitions were read, by the log."""
        stored = await self.log.positions(origins)
        return [stored[origin].next if origin in stored else None for origin in origins]


@pytest.fixture
async def reader() -> AsyncIterator[Reader]:
    reader = Reader(DecidingWorker(new_log()))
    await reader.intake.assigned([P0, P1])
    yield reader
    await reader.worker.stop()


def counts(offsets: Sequence[int], origin: PartitionId = P0) -> list[RecordItem]:
    """One record an offset, each setting another number of replicas."""
    return [item(origin, offset, set_count(D1, offset % 1000)) for offset in offsets]


async def decided_offsets(reader: Reader) -> list[int]:
    """The offsets whose commands have set the number of replicas, as the log has them."""
    history = [logged.recorded for logged in await reader.log.stream(D1)]
    return [
        recorded.cause.offset
        for recorded in history
        if isinstance(recorded.cause, RecordCause) and isinstance(recorded.event, ReplicaCountSet)
    ]


async def test_a_partition_that_was_never_read_has_no_place_and_then_the_one_behind_the_last_record(
    reader: Reader,
) -> None:
    assert await reader.intake.assigned([P0]) == {P0: None}

    last = item(P0, 8, refusal())
    await reader.handle(item(P0, 7, create(D1)), last)

    place = (await reader.intake.assigned([P0]))[P0]
    assert place is not None
    assert (place.next, place.digest) == (9, last.record.digest)


async def test_records_are_committed_a_chunk_at_a_time_in_their_order() -> None:
    reader = Reader(DecidingWorker(new_log(), decider_limits(batch_size=1)), batch_size=3)
    await reader.intake.assigned([P0])
    await reader.handle(item(P0, 0, create(D1)), *counts(range(2, 10)))

    assert [len(batch.events) for batch in reader.log.committed] == [3, 3, 3]
    moves = [(move.expected, move.next) for batch in reader.log.committed for move in batch.positions]
    assert moves == [(None, 4), (4, 7), (7, 10)]
    assert await decided_offsets(reader) == list(range(2, 10))
    await reader.worker.stop()


async def test_gaps_between_offsets_are_nothing_special(reader: Reader) -> None:
    """Transaction markers and compaction leave such gaps."""
    await reader.handle(item(P0, 5, create(D1)), *counts([9, 100, 7_000_000_000]))
    await reader.handle(*counts([7_000_000_002]))

    assert await decided_offsets(reader) == [9, 100, 7_000_000_000, 7_000_000_002]
    assert await reader.places(P0) == [7_000_000_003]


async def test_fault_06_partitions_may_come_in_any_mixture_and_each_keeps_its_order(reader: Reader) -> None:
    mine, yours = counts(range(2, 8)), [item(P1, offset, set_count(D2, offset)) for offset in range(2, 8)]
    mixture = [mine[0], yours[0], yours[1], mine[1], mine[2], mine[3], yours[2], mine[4], yours[3], yours[4], mine[5]]

    await reader.handle(item(P0, 0, create(D1)), item(P1, 0, create(D2)), *mixture, yours[5])

    assert await decided_offsets(reader) == list(range(2, 8))
    assert await reader.places(P0, P1) == [8, 8]
    assert (await reader.log.deployments([D2]))[D2].replica_spec.replica_count == 7


async def test_partitions_of_several_topics_have_places_of_their_own(reader: Reader) -> None:
    await reader.intake.assigned([ROUTES])

    await reader.handle(item(P0, 4, refusal()), item(ROUTES, 9, refusal()))

    assert await reader.places(P0, ROUTES) == [5, 10]


async def test_fault_04_the_same_offset_delivered_twice_has_no_second_effect(reader: Reader) -> None:
    """Not in the same fetch, not in the next one, and a position never goes back."""
    first = [item(P0, 0, create(D1)), *counts([1, 2]), item(P0, 3, refusal())]
    await reader.handle(*first, *first[2:], first[1])
    assert await reader.places(P0) == [4]
    await reader.handle(*first)
    await reader.handle(*first[1:], *counts([4]))

    assert await decided_offsets(reader) == [2, 4]
    assert await reader.places(P0) == [5]
    assert reader.worker.dead_letters.offsets == [3]


async def test_a_fetch_of_nothing_new_commits_nothing(reader: Reader) -> None:
    await reader.handle(item(P0, 0, create(D1)))
    commits = len(reader.log.tried)

    await reader.handle(item(P0, 0, create(D1)))
    await reader.handle()

    assert len(reader.log.tried) == commits


async def test_on_assignment_reading_goes_on_where_the_log_says(reader: Reader) -> None:
    await reader.handle(item(P0, 0, create(D1)), *counts([2]))
    other = Reader(DecidingWorker(second(reader.log)))

    places = await other.intake.assigned([P0, P1])
    await other.handle(*counts([0, 2, 3]))

    assert {origin: place.next if place else None for origin, place in places.items()} == {P0: 3, P1: None}
    assert await decided_offsets(reader) == [2, 3]
    await other.worker.stop()


async def test_on_assignment_nothing_old_is_left_in_memory(reader: Reader) -> None:
    await reader.handle(item(P0, 0, create(D1)))
    other = Reader(DecidingWorker(second(reader.log)))
    await other.intake.assigned([P0])
    await other.handle(*counts([1, 5]))

    await reader.intake.assigned([P0])

    state = (await reader.worker.decider.load([D1]))[D1]
    assert state.replica_spec.replica_count == 5
    await other.worker.stop()


async def test_partitions_that_were_never_assigned_or_were_revoked_are_ignored(reader: Reader) -> None:
    await reader.handle(item(P0, 0, create(D1)), item(P1, 0, create(D2)))
    await reader.intake.revoked([P1])

    await reader.handle(item(P1, 1, set_count(D2, 9)), *counts([1, 2]), item(ROUTES, 0, refusal()))

    assert await reader.places(P0, P1, ROUTES) == [3, 1, None]
    assert (await reader.log.deployments([D2]))[D2].replica_spec.replica_count == 1


async def test_owning_follows_assignment(reader: Reader) -> None:
    ownership = reader.worker.ownership
    assert ownership.owns(D1)

    await reader.intake.revoked([P0])
    assert not ownership.owns(D1)
    assert ownership.owns(D2)
    assert ownership.changed.is_set()

    await reader.intake.assigned([P0, ROUTES])
    assert ownership.owns(D1)
    assert ownership.partitions == {0, 1}


async def test_fault_07_records_that_somebody_else_has_read_are_told_by_partition(reader: Reader) -> None:
    other = Reader(DecidingWorker(second(reader.log)))
    await other.intake.assigned([P0])
    await other.handle(item(P0, 0, create(D1)))

    with pytest.raises(PositionConflict) as conflict:
        await reader.handle(item(P0, 0, create(D1)), item(P1, 0, create(D2)), *counts([1]))

    assert conflict.value.origins == {P0}
    assert await reader.places(P0, P1) == [1, 1]
    assert await reader.log.stream_version(D1) == 1
    await other.worker.stop()


async def test_every_partition_that_somebody_else_has_read_is_told(reader: Reader) -> None:
    other = Reader(DecidingWorker(second(reader.log)))
    await other.intake.assigned([P0, P1])
    await other.handle(item(P0, 0, create(D1)), item(P1, 0, create(D2)))

    with pytest.raises(PositionConflict) as conflict:
        await reader.handle(item(P0, 0, create(D1)), item(P1, 0, create(D2)))

    assert conflict.value.origins == {P0, P1}
    await other.worker.stop()


async def test_who_is_outrun_at_a_deployment_again_and_again_reads_the_partition_again() -> None:
    """What was committed before stays, what was not is decided in the next try, and no partition ends by it."""
    reader = Reader(DecidingWorker(new_log(), decider_limits(conflict_attempts=1)))
    await reader.intake.assigned([P0, P1])
    records = [item(P0, 0, create(D1)), *counts([2, 3])]
    outrun = VersionConflict("somebody was faster")
    reader.log.fail_tries = {1: outrun, 3: outrun}

    with pytest.raises(PositionConflict) as conflict:
        await reader.handle(*records)

    assert conflict.value.origins == {P0}
    assert await reader.places(P0) == [1]
    await reader.intake.assigned([P0])
    await reader.handle(*records[1:])
    assert await decided_offsets(reader) == [2, 3]
    await reader.worker.stop()


async def test_after_a_conflict_reading_goes_on_once_assigned_again(reader: Reader) -> None:
    other = Reader(DecidingWorker(second(reader.log)))
    await other.intake.assigned([P0])
    await other.handle(item(P0, 0, create(D1)))
    with pytest.raises(PositionConflict):
        await reader.handle(item(P0, 0, create(D1)))

    await reader.intake.assigned([P0])
    await reader.handle(*counts([1, 2]))

    assert await reader.places(P0) == [3]
    await other.worker.stop()


async def test_a_cancelled_fetch_leaves_nothing_that_is_done_twice_or_left_out(reader: Reader) -> None:
    """Whether its records were committed or not, the place that is given on assignment is right."""
    await reader.worker.hold()  # type: ignore[unused-awaitable] # ends with the worker
    handling = asyncio.ensure_future(reader.handle(item(P0, 0, create(D1)), *counts([2])))
    await asyncio.sleep(0)
    handling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await handling
    reader.log.open_gate.set()

    place = (await reader.intake.assigned([P0]))[P0]
    records = [item(P0, 0, create(D1)), *counts([2, 3])]
    try:
        await reader.handle(*(each for each in records if each.record.offset >= (place.next if place else 0)))
    except PositionConflict:
        await reader.intake.assigned([P0])
        await reader.handle(*records)

    assert await decided_offsets(reader) == [2, 3]
    assert await reader.places(P0) == [4]


async def test_more_chunks_than_the_queue_holds_keep_their_order() -> None:
    reader = Reader(DecidingWorker(new_log(), decider_limits(batch_size=1, queued_submissions=2)), batch_size=1)
    await reader.intake.assigned([P0])
    others = [reader.worker.decider.execute([create(deployment(100 + n))], "test") for n in range(20)]

    await asyncio.gather(reader.handle(item(P0, 0, create(D1)), *counts(range(2, 30))), *others)

    assert await decided_offsets(reader) == list(range(2, 30))
    await reader.worker.stop()


async def test_where_the_decider_has_ended_whoever_hands_over_is_told(reader: Reader) -> None:
    await asyncio.sleep(0)
    reader.worker.running.cancel()
    await asyncio.gather(reader.worker.running, return_exceptions=True)

    with pytest.raises(DeciderStopped):
        await reader.handle(item(P0, 0, create(D1)))

    reader.worker.running = asyncio.create_task(asyncio.sleep(0))


async def test_where_the_log_does_not_say_how_far_it_is_nothing_is_assigned(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(_origins: object) -> None:
        raise LogUnavailable("away")

    await reader.intake.revoked([P0])
    monkeypatch.setattr(reader.log, "positions", away)

    with pytest.raises(LogUnavailable):
        await reader.intake.assigned([P0])

    assert not reader.worker.ownership.owns(D1)
    await reader.handle(item(P0, 0, create(D1)))
    assert reader.log.tried == []
