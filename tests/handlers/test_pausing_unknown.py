"""What pauses nobody here understands, and pauses that cannot be asked for: everything waits, and nothing ends."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from unittest.mock import patch
from uuid import UUID

import pytest

from domain.incarnations import INCARNATIONS_ID
from domain.pauses import PAUSES_ID, Pauses
from handlers.pausing import PauseFollower, PauseGate, PauseLimits
from handlers.ports import EventLog, LogUnavailable, UnknownEventType
from handlers.standing_facts import read_standing_facts
from tests.executor_world import world_of
from tests.future_events import FUTURE_TYPE, append_from_the_future
from tests.handlers.decision_support import new_log

OFTEN = PauseLimits(poll_seconds=0.01, least_seconds=0.0)


@asynccontextmanager
async def following(event_log: EventLog, gate: PauseGate) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(PauseFollower(event_log, gate, OFTEN).run(asyncio.Event()))
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_an_unknown_event_among_pauses_closes_the_gate_and_ends_nobody(tmp_path: Path) -> None:
    """All deployments wait; what comes in is recorded all the same."""
    async with world_of(tmp_path, reconciler=True) as world:
        append_from_the_future(world.log, PAUSES_ID, 1)
        gate = world.plane.gate
        closed, close = asyncio.Event(), gate.close

        def note(reason: str) -> None:
            close(reason)
            closed.set()

        with patch.object(gate, "close", note):
            async with following(world.log, gate) as follower:
                await asyncio.wait_for(closed.wait(), 10)
                assert not follower.done()
        await world.create()
        await world.live(60)

        assert FUTURE_TYPE in (gate.closed or "")
        assert (gate.held, world.watch.runs, world.circuits()) == (1, [], [])


async def test_at_the_start_an_unknown_pause_is_a_closed_gate(tmp_path: Path) -> None:
    async with world_of(tmp_path) as world:
        append_from_the_future(world.log, PAUSES_ID, 1)

        standing = await read_standing_facts(world.log)

    assert FUTURE_TYPE in (standing.pauses_unknown or "")
    assert standing.pauses == Pauses()


async def test_an_unknown_incarnation_refuses_the_start(tmp_path: Path) -> None:
    async with world_of(tmp_path) as world:
        append_from_the_future(world.log, INCARNATIONS_ID, 1)

        with pytest.raises(UnknownEventType, match=FUTURE_TYPE):
            await read_standing_facts(world.log)


async def test_an_outage_of_the_log_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    event_log, questions, enough = new_log(), 0, asyncio.Event()
    answer = event_log.stream_version

    async def ask(stream_id: UUID) -> int:
        nonlocal questions
        questions += 1
        if questions == 7:
            enough.set()
        if questions in {1, 2, 3, 5}:
            raise LogUnavailable("away")
        return await answer(stream_id)

    with caplog.at_level(logging.WARNING), patch.object(event_log, "stream_version", ask):
        async with following(event_log, PauseGate(Pauses())):
            await asyncio.wait_for(enough.wait(), 10)

    assert [record.getMessage() for record in caplog.records] == [
        "Cannot ask for pauses, going by those that are known: away"
    ] * 2
