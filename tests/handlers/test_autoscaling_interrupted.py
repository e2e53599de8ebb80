"""Autoscaling after a time in which it could not go on: an outage, an override, a command in between."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from unittest.mock import patch
from uuid import UUID

import pytest

from adapters.event_store.repository import EventSourcedDeploymentRepository
from domain import commands as c
from domain.autoscaling.decision import DecisionReason
from domain.autoscaling.rules import Pause, ScalingPolicy
from tests.executor_world import QUEUE_RULE, world_of
from tests.handlers.test_autoscaling_life import TRACKED, decisions, healthy, running, target


@pytest.mark.parametrize("seconds", [310, 350, 370])
async def test_an_outage_longer_than_the_stabilization_window_never_scales_in_at_once(
    tmp_path: Path, seconds: int
) -> None:
    """Nobody knows what would have been recommended meanwhile, so the current count is taken for it."""
    async with world_of(tmp_path, reconciler=True) as world:
        d1 = await running(world, TRACKED)
        await world.sample(d1, 40)
        await healthy(world, d1)
        await world.stop()
        world.clock.now += timedelta(seconds=seconds)
        await world.start(reconciler=True)

        await world.sample(d1, 10)
        await world.idle()
        assert await target(world, d1) == 4
        for _ in range(31):
            await world.live(10)
            await world.sample(d1, 10)

        await world.live(1)
        assert await target(world, d1) == 1


async def test_what_an_override_held_is_not_removed_at_once_when_it_ends_even_after_a_restart(tmp_path: Path) -> None:
    async with world_of(tmp_path, reconciler=True) as world:
        d1 = await running(world, TRACKED)
        await world.sample(d1, 20)
        await healthy(world, d1)
        until = world.clock.now + timedelta(seconds=100)
        await world.when(c.OverrideReplicas(deployment_id=d1, replica_count=15, until=until))
        await world.live(110)

        await world.sample(d1, 20)
        await world.restart()
        await world.live(5)

        assert await target(world, d1) == 15
        assert (await decisions(world, d1))[-1].decision.reason is DecisionReason.STABILIZED
        for _ in range(30):
            await world.live(10)
            await world.sample(d1, 20)
        await world.live(1)
        assert await target(world, d1) == 2


@pytest.mark.parametrize(
    "meanwhile",
    [
        lambda d1: c.PauseScaling(deployment_id=d1, pause=Pause.SCALE_OUT),
        lambda d1: c.SetScalingPolicy(
            deployment_id=d1,
            policy=TRACKED.model_copy(
                update={"rules": (TRACKED.rules[0].model_copy(update={"name": "other", "target": 1000.0}),)}
            ),
        ),
    ],
    ids=["a pause", "another policy"],
)
async def test_a_count_that_was_calculated_before_a_pause_or_another_policy_is_given_up(
    tmp_path: Path, meanwhile: Callable[[UUID], c.AnyCommand]
) -> None:
    async with world_of(tmp_path, reconciler=True) as world:
        d1 = await running(world, TRACKED)
        store = EventSourcedDeploymentRepository.update_desired_replicas_bulk
        begun: list[Mapping[UUID, int]] = []

        async def later(self: EventSourcedDeploymentRepository, desired: Mapping[UUID, int]) -> None:
            if not begun:
                begun.append(desired)
                await world.when(meanwhile(d1))
            await store(self, desired)

        with patch.object(EventSourcedDeploymentRepository, "update_desired_replicas_bulk", later):
            await world.sample(d1, 40)
            await world.idle()

        assert begun == [{d1: 4}]
        assert await target(world, d1) == 1


async def test_one_sample_moves_a_deployment_by_one_step_however_short_the_cooldown(tmp_path: Path) -> None:
    rule = QUEUE_RULE.model_copy(update={"cooldown_seconds": 0.0})
    async with world_of(tmp_path, reconciler=True) as world:
        d1 = await running(world, ScalingPolicy(rules=(rule,)))
        await world.sample(d1, 10_000)
        await healthy(world, d1)
        after_one = await target(world, d1)

        await world.live(60)
        assert await target(world, d1) == after_one
        await world.restart()
        await world.live(60)
        assert await target(world, d1) == after_one

        await world.sample(d1, 10_000)
        await world.idle()
        assert await target(world, d1) > after_one
