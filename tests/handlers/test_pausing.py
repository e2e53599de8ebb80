"""Paused deployments: everything is recorded, nothing is done, nobody spins, and afterwards all goes on at once."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from domain import commands as c
from domain.deployment import Lifecycle
from domain.pauses import (
    PAUSES_ID,
    Everything,
    PauseCommand,
    PauseEffects,
    Pauses,
    ResourceGroup,
    ResumeEffects,
    Scope,
    SingleDeployment,
)
from domain.recorded import RecordCause
from handlers.commit import Commit
from handlers.pausing import PauseFollower, PauseGate, PauseLimits, stored_pauses
from handlers.records import PauseRecord, Sender
from handlers.submission import RecordItem
from tests.executor_world import RARE_POLLS, World, is_ready, world_of
from tests.handlers.decision_support import (
    P0,
    DecidingWorker,
    create,
    decider_limits,
    deployment,
    item,
    new_log,
    reading,
    refusal,
)

FREQUENT_POLLS = replace(RARE_POLLS, poll_seconds=1.0)
SCOPES = [Everything(), ResourceGroup(resource_group="sg1"), SingleDeployment(deployment_id=UUID(int=0))]


def pause_item(offset: int, command: PauseCommand, *, id: str | None = None) -> RecordItem:  # noqa: A002 - CloudEvents
    sender = Sender(source="console", id=id or str(offset), type="pause", actor="alice")
    return RecordItem(item(P0, offset, refusal()).record, PauseRecord(command, sender))


async def test_a_pause_is_a_fact_in_the_log_with_its_sender(worker: DecidingWorker) -> None:
    await worker.submit(reading(None, pause_item(0, PauseEffects(scope=Everything(), reason="a flood"))))

    [logged] = await worker.log.stream(PAUSES_ID)
    assert isinstance(logged.recorded.cause, RecordCause)
    assert (logged.recorded.cause.actor, logged.recorded.cause.offset) == ("alice", 0)
    assert set((await stored_pauses(worker.log)).standing) == {Everything()}


async def test_of_several_in_one_batch_each_has_its_outcome_and_only_news_are_events(worker: DecidingWorker) -> None:
    pause, resume = PauseEffects(scope=Everything()), ResumeEffects(scope=Everything())
    commands: list[PauseCommand] = [pause, pause, resume, pause]
    items = [pause_item(n, command) for n, command in enumerate(commands)]
    await worker.submit(reading(None, *items))

    assert [logged.recorded.version for logged in await worker.log.stream(PAUSES_ID)] == [1, 2, 3]
    assert len(worker.log.committed[0].outcomes) == 4


async def test_a_pause_that_is_sent_again_has_no_second_effect(worker: DecidingWorker) -> None:
    pause, resume = PauseEffects(scope=Everything()), ResumeEffects(scope=Everything())
    await worker.submit(reading(None, pause_item(0, pause, id="p")))
    await worker.submit(reading(1, pause_item(1, resume), pause_item(2, pause, id="p")))

    assert (await stored_pauses(worker.log)).standing == {}


async def test_the_follower_sees_what_anybody_writes_and_tells_once(worker: DecidingWorker) -> None:
    gate, wake, told = PauseGate(Pauses()), asyncio.Event(), asyncio.Event()
    gate.listen(lambda _due, _evaluate: told.set())
    following = asyncio.create_task(PauseFollower(worker.log, gate, PauseLimits(poll_seconds=0.01)).run(wake))
    await worker.submit(reading(None, pause_item(0, PauseEffects(scope=Everything()))))
    wake.set()

    await asyncio.wait_for(told.wait(), 10)
    assert set(gate.pauses.standing) == {Everything()}
    following.cancel()
    with suppress(asyncio.CancelledError):
        await following


async def pause(world: World, command: PauseCommand) -> None:
    """Let a pause be decided, and the gate follow."""
    expected = len(await world.log.stream(PAUSES_ID))
    record = pause_item(expected, command)
    submission = reading(expected or None, record)
    await world.plane.decider.submit(submission)
    world.plane.gate.change(await stored_pauses(world.log))


@pytest.mark.parametrize("scope", SCOPES, ids=lambda scope: scope.kind)
async def test_while_paused_everything_is_recorded_and_nothing_is_done(tmp_path: Path, scope: Scope) -> None:
    async with world_of(tmp_path, reconciler=True) as world:
        await pause(world, PauseEffects(scope=scope))
        d1 = await world.create(replica_count=2)
        await world.when(c.SetReplicaCount(deployment_id=d1, replica_count=3))
        await world.live(3600)

        assert (world.watch.runs, world.circuits()) == ([], [])
        state = await world.state(d1)
        assert (state.lifecycle, state.target_replica_count) == (Lifecycle.PENDING, 3)
        assert world.plane.gate.held == 1

        await pause(world, ResumeEffects(scope=scope))
        assert (await world.until(d1, is_ready)).active_count == 3
        assert world.circuits() == [d1]


async def test_a_paused_deployment_waits_outside_the_queue(tmp_path: Path) -> None:
    """What is due and may not be done is not looked at again and again."""
    async with world_of(tmp_path, reconciler=True) as world:
        await pause(world, PauseEffects(scope=Everything()))
        await world.create()
        await world.idle()

        assert len(world.plane.reconciler._queue) == 0


async def test_paused_deployments_cost_no_commit_however_long(tmp_path: Path) -> None:
    """Neither at the polls of their owner, nor when it owns them anew."""
    async with world_of(tmp_path, reconciler=True, reconciler_limits=FREQUENT_POLLS) as world:
        await pause(world, PauseEffects(scope=Everything()))
        for number in range(0, 20, 2):
            await world.create(number)
        await world.idle()
        commits: list[Commit] = []
        world.plane.decider.listen(commits.append)

        await world.live(60)
        world.lose(0)
        await world.idle()
        assert world.plane.gate.held == 0
        world.gain(0)
        await world.live(60)

        assert commits == []
        assert world.plane.gate.held == 10


async def test_who_is_due_is_stated_again_a_bounded_batch_at_a_time() -> None:
    worker = DecidingWorker(new_log(), decider_limits(batch_size=4))
    ids = [deployment(number) for number in range(10)]
    await worker.decider.execute([create(key) for key in ids], "test")
    stated: list[int] = []
    worker.decider.listen(lambda commit: stated.append(sum(len(each.items) for each in commit.submissions)))

    await worker.decider.restate_due(ids)

    assert stated == [4, 4, 2]
    await worker.stop()


async def test_a_destruction_under_a_pause_waits_with_its_calls(tmp_path: Path) -> None:
    async with world_of(tmp_path, reconciler=True) as world:
        d1, d2 = await world.create(0), await world.create(2)
        for key in (d1, d2):
            await world.until(key, is_ready)
        await pause(world, PauseEffects(scope=SingleDeployment(deployment_id=d1)))
        await world.when(*(c.DestroyDeployment(deployment_id=key) for key in (d1, d2)))
        await world.idle()
        assert world.circuits() == [d1]

        await pause(world, ResumeEffects(scope=SingleDeployment(deployment_id=d1)))
        await world.idle()
        assert world.circuits() == []
