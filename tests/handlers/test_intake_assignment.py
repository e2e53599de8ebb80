"""Partitions come and go, and somebody else may read them too: nothing is done twice or left out."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from handlers.ports import LogUnavailable, PositionConflict, VersionConflict
from tests.handlers.decision_support import (
    P0,
    P1,
    DecidingWorker,
    create,
    decider_limits,
    item,
    new_log,
    refusal,
    second,
    set_count,
)
from tests.handlers.intake_support import D1, D2, ROUTES, Reader, counts, decided_offsets


@pytest.fixture
async def reader() -> AsyncIterator[Reader]:
    reader = Reader(DecidingWorker(new_log()))
    await reader.intake.assigned([P0, P1])
    yield reader
    await reader.worker.stop()


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


async def test_what_is_owned_follows_what_is_assigned(reader: Reader) -> None:
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
    reader.log.fail_tries = dict.fromkeys([1, 2, 4], outrun)

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
