"""Who reconciles what: partitions that come and go, one operation at a time, and groups that do not wait for others."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch
from uuid import UUID

from domain import commands as c
from domain.autoscaling.rules import ScalingPolicy
from domain.deployment import Lifecycle
from domain.operations import Operation
from handlers.deployment_repository import ScalingGroupProxyTarget
from service.demo.reference_proxy import ReferenceProxy
from service.demo.reference_proxy_faults import Faults
from tests.executor_world import QUEUE_RULE, RARE_POLLS, TOKEN, is_ready, world_of

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


async def test_what_others_did_with_records_in_foreign_partitions_is_seen_at_the_next_poll(tmp_path: Path) -> None:
    """Samples and a policy arrive at a worker that does not own the deployment: its owner evaluates them, once."""
    async with world_of(tmp_path, reconciler=True) as owner:
        d1 = await owner.create(replica_count=1)
        await owner.until(d1, is_ready)
        await owner.idle()
        async with world_of(tmp_path) as other:
            other.lose(0)
            policy = ScalingPolicy(rules=(QUEUE_RULE,))
            await other.when(c.SetScalingPolicy(deployment_id=d1, policy=policy))
            await other.sample(d1, 50)

        await owner.plane.reconciler._look_up_due()
        await owner.idle()

        assert (await owner.state(d1)).target_replica_count == 3
        evaluated = owner.watch.of(Operation.CALCULATE)
        await owner.plane.reconciler._look_up_due()
        await owner.idle()
        assert owner.watch.of(Operation.CALCULATE) == evaluated
