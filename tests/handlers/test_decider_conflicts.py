"""Somebody else writes too: versions are compared, positions are compared, and only who lost has to go back."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from domain.errors import RejectionCode
from handlers.ports import LogBatch, PositionConflict, PositionMove, VersionConflict
from tests.handlers.decision_support import (
    P0,
    P1,
    DecidingWorker,
    create,
    decider_limits,
    deployment,
    item,
    new_log,
    reading,
    refusal,
    second,
    set_count,
)

D1, D2 = deployment(1), deployment(2)


@pytest.fixture
async def rival(worker: DecidingWorker) -> AsyncIterator[DecidingWorker]:
    """Another worker on the same log, who believes to own the same partitions."""
    rival = DecidingWorker(second(worker.log))
    yield rival
    await rival.stop()


async def test_fault_16_two_writers_for_one_deployment_one_wins_and_the_other_reloads(
    worker: DecidingWorker, rival: DecidingWorker
) -> None:
    await worker.decider.execute([create(D1), create(D2)], "test")
    await rival.decider.execute([set_count(D1, 5)], "test")

    stale, fresh = await worker.decider.execute([set_count(D1, 7), set_count(D2, 3)], "test")

    assert [event.model_dump()["previous"] for event in stale.events] == [5]
    assert fresh.state is not None
    assert [logged.recorded.version for logged in await worker.log.stream(D1)] == [1, 2, 3]
    assert len(worker.log.tried) == 3


async def test_what_the_other_one_has_decided_counts_for_what_is_decided_again(
    worker: DecidingWorker, rival: DecidingWorker
) -> None:
    await worker.decider.execute([create(D1)], "test")
    await rival.decider.execute([set_count(D1, 5)], "test")

    [answer] = await worker.decider.execute([set_count(D1, 5)], "test")

    assert [event.name for event in answer.events] == ["deployment.command-had-no-effect.v1"]


async def test_after_a_conflict_only_those_it_may_be_about_are_loaded_again(
    worker: DecidingWorker, rival: DecidingWorker
) -> None:
    await worker.decider.execute([create(D1), create(D2)], "test")
    remembered = (await worker.decider.load([D2]))[D2]
    await rival.decider.execute([set_count(D1, 5)], "test")

    await worker.decider.execute([set_count(D1, 7)], "test")

    assert (await worker.decider.load([D2]))[D2] is remembered


async def test_what_somebody_else_has_brought_further_can_be_loaded_again_without_a_conflict(
    worker: DecidingWorker, rival: DecidingWorker
) -> None:
    """Where the log says that a deployment is due at a higher version, what is in memory is not believed."""
    await worker.decider.execute([create(D1), create(D2)], "test")
    remembered = (await worker.decider.load([D2]))[D2]
    await rival.decider.execute([set_count(D1, 5)], "test")

    worker.decider.forget_older({D1: 2, D2: 1})

    loaded = await worker.decider.load([D1, D2])
    assert loaded[D1].replica_spec.replica_count == 5
    assert loaded[D2] is remembered


async def test_two_writers_of_refused_records_both_have_theirs_written(
    worker: DecidingWorker, rival: DecidingWorker
) -> None:
    """The stream of a partition is loaded again too."""
    await worker.submit(reading(None, item(P0, 0, refusal())))
    await rival.submit(reading(1, item(P0, 1, refusal())))

    await worker.submit(reading(2, item(P0, 2, refusal())))

    assert [logged.recorded.version for logged in await worker.log.events()] == [1, 2, 3]


async def test_who_loses_again_and_again_is_decided_alone_and_does_not_hold_up_the_others() -> None:
    worker = DecidingWorker(new_log(), decider_limits(conflict_attempts=2))
    lost = VersionConflict("somebody was faster")
    worker.log.fail_tries = {2: lost, 3: lost}

    answers = await worker.submit_behind(
        reading(None, item(P0, 0, create(D1)), item(P0, 1, create(D2))),
        reading(None, item(P1, 0, create(deployment(3, 1)))),
    )

    assert not any(isinstance(answer, BaseException) for answer in answers)
    assert [len(batch.events) for batch in worker.log.tried][-2:] == [2, 1]
    await worker.stop()


async def test_who_loses_even_alone_is_told_and_what_was_committed_before_stays() -> None:
    worker = DecidingWorker(new_log(), decider_limits(conflict_attempts=1))
    lost = VersionConflict("somebody was faster")
    submission = reading(None, *(item(P0, n, create(deployment(n + 1))) for n in range(3)))
    fails = asyncio.ensure_future(worker.decider.submit(submission))
    # What is to be created is looked up for the second try, so both count.
    worker.log.fail_tries = dict.fromkeys([1, 2, 4, 5], lost)

    with pytest.raises(VersionConflict):
        await fails

    assert [len(batch.events) for batch in worker.log.committed] == [1]
    assert (await worker.log.positions([P0]))[P0].next == 1
    [answer] = await worker.decider.execute([create(D2)], "test")
    assert answer.rejection is None
    await worker.stop()


async def test_a_moved_position_fails_those_who_read_from_it_and_nobody_else(
    worker: DecidingWorker, rival: DecidingWorker
) -> None:
    await rival.submit(reading(None, item(P0, 0, create(D1))))
    mine = deployment(3, 1)

    lost, also_lost, fine = await worker.submit_behind(
        reading(None, item(P0, 0, create(D1))),
        reading(1, item(P0, 1, set_count(D1, 5))),
        reading(None, item(P1, 0, create(mine))),
    )

    assert isinstance(lost, PositionConflict)
    assert isinstance(also_lost, PositionConflict)
    assert lost.origins == also_lost.origins == {P0}
    assert not isinstance(fine, BaseException)
    assert fine[0].rejection is None
    assert {o: place.next for o, place in (await worker.log.positions([P0, P1])).items()} == {P0: 1, P1: 1}
    assert await worker.log.stream_version(D1) == 1


async def test_commands_of_ones_own_are_decided_though_a_position_in_their_batch_was_moved(
    worker: DecidingWorker, rival: DecidingWorker
) -> None:
    await rival.submit(reading(None, item(P0, 0, create(D1))))
    occupied = await worker.hold()
    own = asyncio.ensure_future(worker.decider.execute([set_count(D1, 8)], "test"))
    lost = asyncio.ensure_future(worker.decider.submit(reading(None, item(P0, 0, create(D1)))))
    await asyncio.sleep(0)
    worker.log.open_gate.set()
    await occupied

    [answer] = await own

    assert answer.rejection is None
    with pytest.raises(PositionConflict):
        await lost
    assert (await worker.log.deployments([D1]))[D1].replica_spec.replica_count == 8


async def test_a_moved_position_drops_what_is_in_memory(worker: DecidingWorker, rival: DecidingWorker) -> None:
    """Whoever moved it may have changed any of the partition's deployments."""
    await worker.submit(reading(None, item(P0, 0, create(D1))))
    await rival.submit(reading(1, item(P0, 1, set_count(D1, 5))))
    with pytest.raises(PositionConflict):
        await worker.submit(reading(1, item(P0, 1, refusal())))

    assert (await worker.decider.load([D1]))[D1].replica_spec.replica_count == 5


async def test_a_moved_position_is_never_decided_again(worker: DecidingWorker, rival: DecidingWorker) -> None:
    await rival.submit(reading(None, item(P0, 0, create(D1))))

    with pytest.raises(PositionConflict):
        await worker.submit(reading(None, item(P0, 0, create(D1))))

    assert len(worker.log.tried) == 1


async def test_fault_04_what_was_read_twice_counts_once_also_within_one_batch(worker: DecidingWorker) -> None:
    """After a partition was assigned anew, what was read before may still be waiting beside what was read again."""
    before, again, next_one = await worker.submit_behind(
        reading(None, item(P0, 0, create(D1)), item(P0, 1, refusal())),
        reading(None, item(P0, 0, create(D1)), item(P0, 1, refusal())),
        reading(2, item(P0, 2, set_count(D1, 5))),
    )

    assert not isinstance(before, BaseException)
    assert isinstance(again, PositionConflict)
    assert again.origins == {P0}
    assert not isinstance(next_one, BaseException)
    assert set(worker.dead_letters.offsets) == {1}
    assert await worker.log.stream_version(D1) == 2
    assert (await worker.log.positions([P0]))[P0].next == 3


async def test_what_overtook_those_before_it_is_not_committed_in_their_place(worker: DecidingWorker) -> None:
    second_part = reading(1, item(P0, 1, set_count(D1, 5)))
    first_part = reading(None, item(P0, 0, create(D1)))

    early, in_time = await worker.submit_behind(second_part, first_part)

    assert isinstance(early, PositionConflict)
    assert not isinstance(in_time, BaseException)
    assert (await worker.log.positions([P0]))[P0].next == 1


async def test_who_is_told_that_a_position_was_moved_finds_it_moved(worker: DecidingWorker) -> None:
    """Whoever asks for the position after that gets an answer to go on from."""
    held = await worker.hold()
    before = reading(None, item(P0, 0, create(D1)))
    again = asyncio.ensure_future(worker.decider.submit(reading(None, item(P0, 0, create(D1)))))
    await worker.decider.enqueue(before)
    await asyncio.sleep(0)
    worker.log.open_gate.set()
    await held

    results = await asyncio.gather(before.done, again, return_exceptions=True)

    assert [type(result) for result in results].count(PositionConflict) == 1
    assert (await worker.log.positions([P0]))[P0].next == 1


async def test_a_rejection_says_what_the_log_says_once_the_conflict_is_over(
    worker: DecidingWorker, rival: DecidingWorker
) -> None:
    """Where somebody else created the deployment meanwhile, creating it otherwise is rejected and not a conflict."""
    await worker.decider.load([D1])
    await rival.decider.execute([create(D1, replicas=3)], "test")

    [[answer]] = await worker.submit(reading(None, item(P0, 0, create(D1, replicas=4))))

    assert answer.rejection is not None
    assert answer.rejection.code is RejectionCode.ALREADY_EXISTS
    [_, last] = await worker.log.events()
    assert last.recorded.event.name == "intake.records-rejected.v1"


async def test_the_log_itself_refuses_a_zombies_batch_as_a_whole(worker: DecidingWorker) -> None:
    """Below the decider: events that would be fine by their versions are not written where the position was moved."""
    await worker.submit(reading(None, item(P0, 0, create(D1))))
    [logged] = await worker.log.events()
    stale = PositionMove(origin=P0, expected=None, next=1, digest="")
    again = [type(logged.recorded)(deployment(9), 1, logged.recorded.cause, logged.recorded.event)]

    with pytest.raises(PositionConflict):
        await worker.log.append(LogBatch(events=again, positions=[stale]))

    assert await worker.log.stream_version(deployment(9)) == 0
