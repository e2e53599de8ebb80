"""A deployment with an event that this version does not know is left alone, and nobody else with it."""

from collections.abc import AsyncIterator

import pytest

from domain.errors import RejectionCode
from handlers.ports import UnknownEventType
from tests.future_events import FUTURE_TYPE, append_from_the_future
from tests.handlers.decision_support import (
    P0,
    P1,
    DecidingWorker,
    create,
    deployment,
    item,
    new_log,
    reading,
    second,
    set_count,
)

OURS, NEIGHBOUR, ELSEWHERE = deployment(1), deployment(2), deployment(1, 1)


@pytest.fixture
async def worker() -> AsyncIterator[DecidingWorker]:
    """A decider of three deployments, of which a newer version has changed the first."""
    worker = DecidingWorker(new_log())
    await worker.decider.execute([create(OURS), create(NEIGHBOUR), create(ELSEWHERE)], "test")
    append_from_the_future(worker.log, OURS, 2)
    worker.decider.forget()
    yield worker
    await worker.stop()


async def test_its_records_are_neither_applied_nor_refused_nor_passed_over(worker: DecidingWorker) -> None:
    """What comes before them is committed, what comes behind them waits, and the decider goes on."""
    records = [item(P0, 0, set_count(NEIGHBOUR, 3)), item(P0, 1, set_count(OURS, 3)), item(P0, 2, set_count(OURS, 4))]

    with pytest.raises(UnknownEventType, match=FUTURE_TYPE):
        await worker.submit(reading(None, *records))

    assert (await worker.log.positions([P0]))[P0].next == 1
    assert (await worker.decider.load([NEIGHBOUR]))[NEIGHBOUR].target_replica_count == 3
    assert not worker.running.done()
    assert FUTURE_TYPE in worker.decider.halted[OURS]


async def test_records_of_other_partitions_in_the_same_batch_are_committed(worker: DecidingWorker) -> None:
    halted, fine, *_ = await worker.submit_behind(
        reading(None, item(P0, 0, set_count(OURS, 3))), reading(None, item(P1, 0, set_count(ELSEWHERE, 5)))
    )

    assert isinstance(halted, UnknownEventType)
    assert not isinstance(fine, BaseException)
    assert await worker.log.positions([P0, P1]) == {P1: (await worker.log.positions([P1]))[P1]}


async def test_who_looks_for_work_does_not_see_it(worker: DecidingWorker) -> None:
    assert set(await worker.decider.load([OURS, NEIGHBOUR, ELSEWHERE])) == {NEIGHBOUR, ELSEWHERE}


async def test_a_command_of_routekeepers_own_is_answered_that_it_has_changed(worker: DecidingWorker) -> None:
    ours, neighbour = await worker.decider.execute([set_count(OURS, 3), set_count(NEIGHBOUR, 3)], "test")

    assert ours.rejection is not None
    assert ours.rejection.code is RejectionCode.CHANGED_MEANWHILE
    assert neighbour.rejection is None


async def test_what_was_in_memory_is_not_decided_on_once_a_newer_version_wrote(worker: DecidingWorker) -> None:
    await worker.decider.load([NEIGHBOUR])
    await worker.decider.execute([set_count(NEIGHBOUR, 2)], "test")
    append_from_the_future(second(worker.log), NEIGHBOUR, 3)

    with pytest.raises(UnknownEventType, match=FUTURE_TYPE):
        await worker.submit(reading(None, item(P0, 0, set_count(NEIGHBOUR, 9))))
