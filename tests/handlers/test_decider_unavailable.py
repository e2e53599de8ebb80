"""Where the log or the dead letters are away, everything waits, nothing is skipped, and it shows since when."""

import asyncio
import random
from datetime import datetime

import pytest

from domain.errors import RejectionCode
from handlers import decider
from handlers.decider_limits import DeciderLimits
from handlers.ports import DeadLettersUnavailable, LogUnavailable, PositionConflict
from tests.handlers.decision_support import (
    AT,
    P0,
    P1,
    DecidingWorker,
    create,
    deployment,
    item,
    later,
    reading,
    refusal,
    second,
    set_count,
)

D1, D2 = deployment(1), deployment(2)
AWAY = LogUnavailable("away")


async def test_what_cannot_be_committed_is_tried_again_until_it_can(worker: DecidingWorker) -> None:
    worker.log.failures = [AWAY] * 5

    await worker.submit(reading(None, item(P0, 0, create(D1)), item(P0, 1, set_count(D1, 4))))

    assert len(worker.log.tried) == 6
    assert (await worker.log.deployments([D1]))[D1].replica_spec.replica_count == 4
    assert (await worker.log.positions([P0]))[P0].next == 2


async def test_nobody_overtakes_what_waits(worker: DecidingWorker) -> None:
    worker.log.failures = [AWAY] * 3
    submissions = [reading(n or None, item(P0, n, create(D1) if n == 0 else set_count(D1, n))) for n in range(5)]

    await worker.submit(*submissions)

    assert [logged.recorded.version for logged in await worker.log.stream(D1)] == [1, 2, 3, 4, 5]
    assert (await worker.log.deployments([D1]))[D1].replica_spec.replica_count == 4


async def test_it_shows_since_when_the_log_is_away_and_no_longer_once_it_is_back(worker: DecidingWorker) -> None:
    seen: list[datetime | None] = []

    def look() -> None:
        seen.append(worker.decider.unavailable_since)
        worker.now = later(len(seen))

    worker.log.before_try = look
    worker.log.failures = [AWAY] * 3
    await worker.submit(reading(None, item(P0, 0, create(D1))))

    assert seen == [None, later(1), later(1), later(1)]
    assert worker.decider.unavailable_since is None


async def test_it_does_not_show_as_away_any_more_where_it_answers_with_a_refusal(worker: DecidingWorker) -> None:
    """A log that says that a position was moved is back."""
    rival = DecidingWorker(second(worker.log))
    await rival.submit(reading(None, item(P0, 0, create(D1))))
    worker.log.failures = [AWAY]

    with pytest.raises(PositionConflict):
        await worker.submit(reading(None, item(P0, 0, create(D1))))

    assert worker.decider.unavailable_since is None
    await rival.stop()


async def test_each_further_try_waits_longer_up_to_the_cap(
    worker: DecidingWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    sleep = asyncio.sleep

    async def noted(seconds: float) -> None:
        if seconds:
            waits.append(seconds)
        await sleep(0)

    monkeypatch.setattr(decider.asyncio, "sleep", noted)  # type: ignore[attr-defined] # the module's own name for it
    random.seed(1)
    worker.decider._limits = DeciderLimits()
    worker.log.failures = [AWAY] * 12
    await worker.submit(reading(None, item(P0, 0, create(D1))))

    nominal = [min(5.0, 0.05 * 2**n) for n in range(12)]
    assert all(0.8 * full <= wait <= full for full, wait in zip(nominal, waits, strict=True))


async def test_where_dead_letters_are_away_the_position_does_not_move_past_the_record(worker: DecidingWorker) -> None:
    worker.dead_letters.failures = [DeadLettersUnavailable("away")] * 3
    assert worker.decider.unavailable_since is None

    await worker.submit(reading(None, item(P0, 0, create(D1)), item(P0, 1, refusal())))

    assert len(worker.log.tried) == 1
    assert worker.dead_letters.offsets == [1]
    assert worker.decider.unavailable_since is None


async def test_dead_letters_are_not_handed_over_again_while_the_log_is_away(worker: DecidingWorker) -> None:
    worker.log.failures = [AWAY] * 5

    await worker.submit_behind(
        reading(None, item(P0, 0, refusal()), item(P0, 1, refusal())), reading(None, item(P1, 0, refusal()))
    )

    assert worker.dead_letters.offsets == [0, 1, 0]


async def test_where_loading_fails_it_is_tried_again_too(
    worker: DecidingWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    load, failures = worker.log.deployments, [AWAY, AWAY]

    async def fails_first(ids: set[object]) -> object:
        if failures:
            raise failures.pop()
        return await load(ids)  # type: ignore[arg-type] # passed on as it came

    monkeypatch.setattr(worker.log, "deployments", fails_first)

    [[answer]] = await worker.submit(reading(None, item(P0, 0, set_count(D1, 2))))

    assert answer.rejection is not None
    assert answer.rejection.code is RejectionCode.UNKNOWN_DEPLOYMENT
    assert failures == []


async def test_fault_14_the_commit_took_effect_but_its_answer_was_lost(worker: DecidingWorker) -> None:
    """It counts once; whoever submitted reads the position again and finds the records behind it."""
    worker.log.lost_answers = [AWAY]

    with pytest.raises(PositionConflict):
        await worker.submit(reading(None, item(P0, 0, create(D1)), item(P0, 1, refusal())))

    assert [logged.recorded.version for logged in await worker.log.events()] == [1, 1]
    assert (await worker.log.positions([P0]))[P0].next == 2
    [[answer]] = await worker.submit(reading(2, item(P0, 2, set_count(D1, 3))))
    assert answer.state is not None
    assert answer.state.version == 2


async def test_a_command_of_ones_own_whose_answer_was_lost_is_decided_on_what_it_did(worker: DecidingWorker) -> None:
    worker.log.lost_answers = [AWAY]

    [answer] = await worker.decider.execute([create(D1)], "test")

    assert [event.name for event in answer.events] == ["deployment.command-had-no-effect.v1"]
    assert await worker.log.stream_version(D1) == 2


async def test_memory_is_not_trusted_after_the_log_was_away(worker: DecidingWorker) -> None:
    """What was being committed may be in the log or not."""
    await worker.decider.execute([create(D1)], "test")
    remembered = (await worker.decider.load([D1]))[D1]
    worker.log.failures = [AWAY]

    await worker.decider.execute([create(D2)], "test")

    assert (await worker.decider.load([D1]))[D1] is not remembered
    assert worker.now == AT
