"""What a decider keeps in memory and for whom, who may go away, and what becomes of everybody when it ends."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from uuid import UUID

import pytest

from domain.deployment import Deployment
from handlers.ports import EventTooLarge, VersionConflict
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
    reading,
    refusal,
    second,
    set_count,
)

D1, D2 = deployment(1), deployment(2)
NOT_OURS = deployment(1, 5)


@pytest.fixture
async def worker() -> AsyncIterator[DecidingWorker]:
    worker = DecidingWorker(new_log(), decider_limits(cached_deployments=10))
    yield worker
    await worker.stop()


async def in_memory(worker: DecidingWorker, ids: list[UUID]) -> list[UUID]:
    """Those whose loading does not ask the log."""
    asked: list[UUID] = []
    load = worker.log.deployments

    async def noted(ids: list[UUID]) -> Mapping[UUID, Deployment]:
        asked.extend(ids)
        return await load(ids)

    worker.log.deployments = noted  # type: ignore[assignment,method-assign] # a look at who asks
    await worker.decider.load(ids)
    worker.log.deployments = load  # type: ignore[method-assign] # as it was
    return [key for key in ids if key not in asked]


async def test_what_was_committed_is_in_memory(worker: DecidingWorker) -> None:
    await worker.decider.execute([create(D1), create(D2)], "test")

    assert await in_memory(worker, [D1, D2, deployment(3)]) == [D1, D2]


async def test_no_more_deployments_are_in_memory_than_the_limit_says(worker: DecidingWorker) -> None:
    ids = [deployment(number) for number in range(1, 31)]
    for start in range(0, 30, 10):
        await worker.decider.execute([create(key) for key in ids[start : start + 10]], "test")

    assert await in_memory(worker, ids) == ids[20:]


async def test_what_fits_no_longer_is_loaded_and_decided_like_any_other(worker: DecidingWorker) -> None:
    ids = [deployment(number) for number in range(1, 31)]
    await worker.decider.execute([create(key) for key in ids], "test")

    answers = await worker.decider.execute([set_count(key, 5) for key in ids], "test")

    assert [answer.state.version if answer.state else None for answer in answers] == [2] * 30


async def test_a_deployment_that_somebody_else_decides_for_is_never_taken_from_memory(worker: DecidingWorker) -> None:
    """A record in a foreign partition is handled all the same, on what the log says."""
    await worker.submit(reading(None, item(P0, 0, create(NOT_OURS))))
    owner = DecidingWorker(second(worker.log))
    await owner.decider.execute([set_count(NOT_OURS, 7)], "test")
    await owner.stop()

    assert await in_memory(worker, [NOT_OURS]) == []
    [[answer]] = await worker.submit(reading(1, item(P0, 1, set_count(NOT_OURS, 7))))
    assert [event.name for event in answer.events] == ["deployment.command-had-no-effect.v1"]
    assert len(worker.log.tried) == 2


async def test_what_is_lost_is_not_taken_from_memory_any_more(worker: DecidingWorker) -> None:
    await worker.decider.execute([create(D1), create(deployment(1, 1))], "test")

    worker.ownership.lose([P0])

    assert await in_memory(worker, [D1, deployment(1, 1)]) == [deployment(1, 1)]


async def test_what_is_committed_while_memory_is_dropped_does_not_come_back_into_it(worker: DecidingWorker) -> None:
    """Between a batch's reading and its commit the partition may have gone to somebody and come back."""
    held = await worker.hold()
    submission = reading(None, item(P0, 0, create(D1)), item(P0, 1, refusal()))
    await worker.decider.enqueue(submission)
    await worker.let_one_pass(held)

    worker.decider.forget()
    worker.log.open_gate.set()
    await submission.done

    assert await in_memory(worker, [D1]) == []


async def test_dropping_memory_while_a_batch_is_being_read_harms_nobody(
    worker: DecidingWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = worker.log.stream_version

    async def read_and_forget(stream_id: UUID) -> int:
        version = await read(stream_id)
        worker.decider.forget()
        return version

    monkeypatch.setattr(worker.log, "stream_version", read_and_forget)

    await worker.submit_behind(
        reading(None, item(P0, 0, create(D1)), item(P0, 1, refusal())), reading(None, item(P1, 0, refusal()))
    )

    assert (await worker.log.positions([P0, P1])).keys() == {P0, P1}


async def test_a_route_is_found_in_memory_by_its_id(worker: DecidingWorker) -> None:
    assert worker.decider.owner_of_route(D1) is None


@pytest.mark.parametrize(
    "failures",
    [[], [EventTooLarge("too large")] * 2, [EventTooLarge("too large")] * 3, [VersionConflict("too slow")] * 2],
    ids=["together", "one-by-one", "refused", "after-conflicts"],
)
async def test_who_has_gone_does_not_keep_the_others_of_the_batch_from_their_answers(
    failures: list[Exception],
) -> None:
    worker = DecidingWorker(new_log(), decider_limits(conflict_attempts=1))
    held = await worker.hold()
    gone = asyncio.ensure_future(worker.decider.submit(reading(None, item(P0, 0, create(D1)), item(P0, 1, create(D2)))))
    stays = asyncio.ensure_future(worker.decider.submit(reading(None, item(P1, 0, create(deployment(1, 1))))))
    await worker.let_one_pass(held)

    gone.cancel()
    worker.log.failures = list(failures)
    worker.log.open_gate.set()

    assert (await stays)[0].rejection is None
    with pytest.raises(asyncio.CancelledError):
        await gone
    assert {o: place.next for o, place in (await worker.log.positions([P0, P1])).items()} == {P0: 2, P1: 1}
    assert (await worker.decider.execute([create(deployment(3))], "test"))[0].rejection is None
    await worker.stop()


async def test_who_has_gone_before_the_batch_began_does_not_either(worker: DecidingWorker) -> None:
    held = await worker.hold()
    gone = asyncio.ensure_future(worker.decider.execute([create(D1)], "test"))
    stays = asyncio.ensure_future(worker.decider.execute([create(D2)], "test"))
    await asyncio.sleep(0)

    gone.cancel()
    worker.log.open_gate.set()

    assert (await stays)[0].rejection is None
    await held


async def test_when_it_ends_everybody_who_waits_is_told() -> None:
    """In the batch that is being committed, in the queue behind it, and in front of a queue that is full."""
    worker = DecidingWorker(new_log(), decider_limits(batch_size=1, queued_submissions=2))
    held = await worker.hold()
    waiting = [asyncio.ensure_future(worker.decider.execute([create(deployment(n))], "test")) for n in range(1, 6)]
    await asyncio.sleep(0)

    await worker.stop()
    answers = await asyncio.gather(held, *waiting, return_exceptions=True)

    assert [type(answer) for answer in answers] == [DeciderStopped] * 6
    assert len(worker.log.tried) == 1


async def test_cancelled_while_it_gathers_a_batch_it_tells_those_it_has_gathered() -> None:
    worker = DecidingWorker(new_log())
    submitted = asyncio.ensure_future(worker.decider.execute([create(D1)], "test"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(worker.decider._in_hand) == 1

    await worker.stop()

    with pytest.raises(DeciderStopped):
        await submitted


async def test_once_it_has_ended_nobody_waits_in_vain_and_once_it_runs_again_it_decides() -> None:
    worker = DecidingWorker(new_log())
    await asyncio.sleep(0)
    worker.running.cancel()
    with suppress(asyncio.CancelledError):
        await worker.running

    with pytest.raises(DeciderStopped):
        await worker.decider.execute([create(D1)], "test")

    worker.running = asyncio.create_task(worker.decider.run())
    await asyncio.sleep(0)
    assert (await worker.decider.execute([create(D1)], "test"))[0].rejection is None
    await worker.stop()
