"""Taking records in: understood, decided in order, and every partition's place kept by the log."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from handlers.submission import DeciderStopped
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
    set_count,
)
from tests.handlers.intake_support import D1, D2, ROUTES, Reader, counts, decided_offsets


@pytest.fixture
async def reader() -> AsyncIterator[Reader]:
    reader = Reader(DecidingWorker(new_log()))
    await reader.intake.assigned([P0, P1])
    yield reader
    await reader.worker.stop()


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
