"""Who reconciles what: partitions that come and go, one operation at a time, bounded batches, and no lost wake-up."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import cast
from unittest.mock import patch
from uuid import UUID

from domain import commands as c
from domain.deployment import Deployment, Lifecycle
from domain.limits import DecisionLimits
from domain.operations import Operation
from handlers.decider import Commit, CommitListener, Decider
from handlers.deployment_repository import ScalingGroupProxyTarget
from handlers.ownership import Ownership
from handlers.ports import DueWork, EventLog
from handlers.reconciler import Reconciler, ReconcilerLimits
from handlers.reconciliation import Reconciliation
from handlers.records import PartitionId
from handlers.samples import SampleStore
from service.demo.reference_proxy import ReferenceProxy
from service.demo.reference_proxy_faults import Faults
from tests.executor_doubles import a_deployment
from tests.executor_world import RARE_POLLS, TOKEN, SetClock, is_ready, world_of

HELD = Faults(delay_seconds=3600)


async def test_only_deployments_in_own_partitions_are_reconciled(tmp_path: Path) -> None:
    async with world_of(tmp_path, reconciler=True) as world:
        mine, others = await world.create(2), await world.create(3)
        await world.until(mine, is_ready)
        await world.idle()
        assert (await world.state(others)).lifecycle is Lifecycle.PENDING

        world.gain(1)
        assert is_ready(await world.until(others, is_ready)), "what is due is found in the log"


async def test_a_revocation_cancels_calls_under_way_and_gives_the_slots_back(tmp_path: Path) -> None:
    async with world_of(tmp_path, reconciler=True) as world:
        world.proxy.faults.set(HELD)
        ids = [await world.create(2 * number + 1) for number in range(5)]
        world.gain(1)
        await world.proxy.calls.until(lambda calls: calls.under_way == 2)

        world.lose(1)
        await world.idle()

        assert world.plane.reconciler._busy == {}
        [target] = world.plane.proxy_calls.snapshot()
        assert (target.in_flight, target.waiting) == (0, 0)
        world.proxy.faults.set(Faults())

        world.gain(1)
        await world.live(120)
        assert all([is_ready(await world.state(key)) for key in ids])
        assert len(world.circuits()) == 5


async def test_a_revocation_before_an_operations_first_step_leaves_nothing_busy(tmp_path: Path) -> None:
    async with world_of(tmp_path, reconciler=True) as world:
        await world.idle()
        reconciler = world.plane.reconciler
        start = reconciler._start

        def start_and_lose(group: asyncio.TaskGroup, lane: tuple[Operation, int], ids: Sequence[UUID]) -> None:
            start(group, lane, ids)
            world.lose(0)
            reconciler._give_up_lost()

        with patch.object(reconciler, "_start", start_and_lose):
            d1 = await world.create()
            await world.idle()
        assert reconciler._busy == {}
        assert world.watch.runs == []

        world.gain(0)
        await world.live(120)
        assert is_ready(await world.state(d1))


async def test_two_workers_share_the_deployments_and_hand_them_over(tmp_path: Path) -> None:
    async with world_of(tmp_path, reconciler=True) as one, world_of(tmp_path) as other:
        await other.stop()
        other.targets["sg1"] = one.targets["sg1"]
        await other.start(reconciler=True, partitions=[1])
        ids = [await one.create(number) for number in range(1, 7)]
        other.gain(1)
        for key in ids:
            owner = one if key.int % 2 == 0 else other
            await owner.until(key, is_ready)

        one.lose(0)
        other.gain(0)
        await other.when(*[c.DestroyDeployment(deployment_id=key) for key in ids])
        await other.idle()

        assert one.circuits() == []
        creates = one.watch.of(Operation.CHECK_PENDING) + other.watch.of(Operation.CHECK_PENDING)
        assert one.proxy.calls.creates == 6
        assert creates >= 2


async def test_a_proxy_that_does_not_answer_holds_up_nobody_of_another_group(tmp_path: Path) -> None:
    limits = replace(RARE_POLLS, batch_size=2, batches=2)
    async with world_of(tmp_path, reconciler=True, reconciler_limits=limits) as world, ReferenceProxy(TOKEN) as silent:
        silent.faults.set(HELD)
        world.targets["sg2"] = ScalingGroupProxyTarget(silent.address, TOKEN)
        for number in range(5):
            await world.create(2 * number, resource_group="sg2")
        await silent.calls.until(lambda calls: calls.under_way == 2)

        answered = await world.create(100)

        assert is_ready(await world.until(answered, is_ready))
        assert silent.calls.under_way == 2


async def test_commands_that_pour_in_never_start_a_second_operation(tmp_path: Path) -> None:
    async with world_of(tmp_path, reconciler=True) as world:
        ids = [await world.create(2 * number) for number in range(10)]

        async def change(key: UUID) -> None:
            for count in (3, 0, 5, 2, 4):
                await world.when(c.SetReplicaCount(deployment_id=key, replica_count=count))

        await asyncio.gather(*map(change, ids))
        await world.idle()

        states = [await world.state(key) for key in ids]
        assert all(is_ready(state) and state.active_count == 4 for state in states)


# --- with stand-ins, for numbers and moments -----------------------------------------------------------------------


class Stage:
    """Deployments that are due to be registered, for a reconciler whose operations last until they are told to end."""

    def __init__(self, count: int) -> None:
        self.deployments = {
            UUID(int=number): replace(a_deployment(number), created_at=SetClock.now) for number in range(1, count + 1)
        }
        self.listeners: list[CommitListener] = []
        self.loading = asyncio.Event()
        self.may_load = asyncio.Event()
        self.may_load.set()
        self.may_end = asyncio.Event()
        self.has_begun = asyncio.Event()
        self.under_way = self.most_under_way = self.most_tasks = self.largest = 0
        self.done: list[UUID] = []
        self.all_done = asyncio.Event()
        self.ownership = Ownership("commands", 1, lambda _: 0)
        self.ownership.gain([PartitionId("commands", "1", 0)])
        self.reconciler = Reconciler(
            cast("EventLog", self),
            cast("Decider", self),
            cast("Reconciliation", self),
            self.ownership,
            SampleStore(),
            clock=SetClock(),
            decision_limits=DecisionLimits(),
            limits=ReconcilerLimits(batch_size=100, batches=4),
        )

    slow_retry_seconds = 600.0

    def has_proxy_again(self, _operation: Operation, _deployment: Deployment) -> bool:
        return False

    def listen(self, listener: CommitListener) -> None:
        self.listeners.append(listener)

    def commit(self, *states: Deployment) -> None:
        self.deployments |= {state.id: state for state in states}
        for listener in self.listeners:
            listener(Commit(states=states, samples=(), position=1))

    async def load(self, ids: Collection[UUID]) -> Mapping[UUID, Deployment]:
        found = {key: self.deployments[key] for key in ids}
        if found:
            self.loading.set()
            await self.may_load.wait()
        return found

    def forget_older(self, versions: Mapping[UUID, int]) -> None:
        """Everything here is as new as it gets."""

    async def due_work(self, **_: object) -> Sequence[DueWork]:
        now = SetClock.now
        return [DueWork(deployment_id=key, hash=0, due_at=now, version=1) for key in self.deployments]

    async def run(self, _operation: Operation, deployments: Sequence[Deployment]) -> None:
        self.has_begun.set()
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        self.largest = max(self.largest, len(deployments))
        self.most_tasks = max(self.most_tasks, len(asyncio.all_tasks()))
        await self.may_end.wait()
        self.under_way -= 1
        self.done += [deployment.id for deployment in deployments]
        ended = [replace(d, version=d.version + 1, lifecycle=Lifecycle.DESTROYED) for d in deployments]
        self.commit(*ended)
        if len(self.done) >= len(self.deployments):
            self.all_done.set()


async def test_who_drains_lets_operations_end_and_begins_no_others() -> None:
    stage = Stage(3)
    life = asyncio.create_task(stage.reconciler.run())
    await stage.has_begun.wait()

    draining = asyncio.create_task(stage.reconciler.drain(60))
    stage.commit(replace(a_deployment(9), created_at=SetClock.now))
    stage.may_end.set()
    await draining

    assert len(stage.done) == 3
    assert stage.under_way == 0
    life.cancel()


async def test_ten_thousand_due_deployments_are_handed_over_in_few_bounded_batches() -> None:
    stage = Stage(10_000)
    life = asyncio.create_task(stage.reconciler.run())
    stage.may_end.set()

    await stage.all_done.wait()

    assert len(set(stage.done)) == 10_000
    assert stage.largest == 100
    assert stage.most_under_way <= 4
    assert stage.most_tasks < 150
    life.cancel()


async def test_a_commit_during_the_look_at_who_is_due_is_not_forgotten() -> None:
    """The state that was looked at had no work; the one that came meanwhile has."""
    stage = Stage(1)
    [due] = stage.deployments.values()
    stage.deployments[due.id] = replace(due, target_revision=None)
    stage.may_load.clear()
    stage.may_end.set()
    life = asyncio.create_task(stage.reconciler.run())
    await stage.loading.wait()

    stage.commit(replace(due, version=2))
    stage.may_load.set()

    await stage.all_done.wait()
    assert stage.done == [due.id]
    life.cancel()


async def test_a_commit_at_the_end_of_an_operation_is_not_forgotten() -> None:
    """The operation changes nothing, and as it ends somebody else's commit makes the deployment due."""
    stage = Stage(1)
    [due] = stage.deployments.values()
    run = stage.run
    rounds = 0

    async def first_without_effect(operation: Operation, deployments: Sequence[Deployment]) -> None:
        nonlocal rounds
        rounds += 1
        if rounds == 1:
            stage.commit(replace(due, version=2, created_at=due.created_at + timedelta(hours=1)))
            stage.commit(replace(due, version=3))
        else:
            await run(operation, deployments)

    stage.may_end.set()
    with patch.object(stage, "run", first_without_effect):
        life = asyncio.create_task(stage.reconciler.run())
        await stage.all_done.wait()
    assert stage.done == [due.id]
    life.cancel()
