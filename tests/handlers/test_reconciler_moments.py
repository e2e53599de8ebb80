"""Numbers and moments that only stand-ins can bring about: thousands at once, and commits at the worst time."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import cast
from unittest.mock import patch
from uuid import UUID

from domain.deployment import Deployment, Lifecycle
from domain.limits import DecisionLimits
from domain.operations import Operation
from handlers.commit import Commit, CommitListener
from handlers.decider import Decider
from handlers.ownership import Ownership
from handlers.ports import DueWork, EventLog
from handlers.reconciler import Reconciler
from handlers.reconciler_limits import ReconcilerLimits
from handlers.reconciliation import Reconciliation
from handlers.records import PartitionId
from handlers.scaling_memory import ScalingMemory
from tests.executor_doubles import a_deployment
from tests.set_clock import SetClock


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
            ScalingMemory(cast("EventLog", self), clock=SetClock()),
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

    async def scaling_deployments(self, **_: object) -> Sequence[UUID]:
        return ()

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


async def test_who_drains_does_not_spin_over_those_who_are_still_due() -> None:
    stage = Stage(3)
    life = asyncio.create_task(stage.reconciler.run())
    await stage.has_begun.wait()
    looks = 0
    take = stage.reconciler._queue.earliest

    def counted() -> datetime | None:
        nonlocal looks
        looks += 1
        return take()

    with patch.object(stage.reconciler._queue, "earliest", counted):
        draining = asyncio.create_task(stage.reconciler.drain(60))
        await asyncio.sleep(0)
        stage.commit(*[replace(a_deployment(number), created_at=SetClock.now) for number in range(10, 20)])
        for _ in range(100):
            await asyncio.sleep(0)
        stage.may_end.set()
        await draining

    assert looks < 10
    assert len(stage.done) == 3
    life.cancel()


async def test_who_begins_to_drain_during_a_look_at_who_is_due_begins_nothing() -> None:
    stage = Stage(1)
    stage.may_load.clear()
    life = asyncio.create_task(stage.reconciler.run())
    await stage.loading.wait()

    await stage.reconciler.drain(60)
    stage.may_load.set()
    for _ in range(10):
        await asyncio.sleep(0)

    assert stage.under_way == 0
    assert stage.reconciler._busy == {}
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
