"""Autoscaling as it goes on through time and restarts: what triggers it, what it remembers, and what it records."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from domain import commands as c
from domain import events as e
from domain.autoscaling.decision import DecisionReason
from domain.autoscaling.metric import MetricSource
from domain.autoscaling.reasoning import Able
from domain.autoscaling.record import EvaluationRecord
from domain.autoscaling.rules import ScalingPolicy
from domain.autoscaling.samples import MetricSample
from domain.autoscaling.scale_to_zero import ScaleToZeroRule
from domain.autoscaling.schedule import ScheduleRule
from domain.autoscaling.target_tracking import TargetTrackingRule, TargetType
from domain.operations import Operation
from domain.routes import RouteStatus
from handlers.ports import DeploymentEvaluation, LogBatch, SampleReport
from tests.executor_world import World, is_ready, world_of
from tests.set_clock import SetClock

#: Ten requests waiting for each replica; removing waits for five minutes of lower recommendations, as HPA has it.
TRACKED = ScalingPolicy(
    rules=(
        TargetTrackingRule(
            name="queue",
            source=MetricSource.INFERENCE_FRAMEWORK,
            metric="queue",
            target=10,
            target_type=TargetType.TOTAL_AVERAGE,
        ),
    ),
    min_replicas=1,
    max_replicas=20,
)
ACTIVE = ScaleToZeroRule(
    name="any", source=MetricSource.INFERENCE_FRAMEWORK, metric="queue", cooldown_seconds=60.0, cold_start_replicas=2
)


async def running(world: World, policy: ScalingPolicy, replicas: int = 1) -> UUID:
    """A deployment that is ready, with healthy routes."""
    d1 = await world.create(replica_count=replicas, scaling_policy=policy)
    await world.until(d1, is_ready)
    await healthy(world, d1)
    return d1


async def healthy(world: World, deployment_id: UUID) -> None:
    """Let the runtime report all active routes as healthy."""
    await world.idle()
    await world.report(deployment_id, RouteStatus.HEALTHY)
    await world.idle()


async def decisions(world: World, deployment_id: UUID) -> Sequence[e.DesiredReplicasCalculated]:
    events = await world.events(deployment_id)
    return [event for event in events if isinstance(event, e.DesiredReplicasCalculated)]


async def target(world: World, deployment_id: UUID) -> int:
    return (await world.state(deployment_id)).target_replica_count


async def test_a_sample_scales_at_once_by_the_target(tmp_path: Path) -> None:
    async with world_of(tmp_path, reconciler=True) as world:
        d1 = await running(world, TRACKED)

        await world.sample(d1, 40)
        await world.idle()

        assert (await world.state(d1)).active_count == 4
        last = (await decisions(world, d1))[-1].decision
        assert (last.previous, last.desired, last.reason) == (1, 4, DecisionReason.RULE)
        assert last.reasoning is not None
        assert last.reasoning.rules[0].value == 40


async def test_a_restart_in_the_middle_of_a_stabilization_window_changes_nothing_about_its_end(tmp_path: Path) -> None:
    """The last high recommendation is 300 s old when the deployment shrinks, restart or not."""
    ends = []
    for number, restarts in enumerate((False, True)):
        async with world_of(tmp_path / str(number), reconciler=True) as world:
            d1 = await running(world, TRACKED)
            await world.sample(d1, 40)
            await healthy(world, d1)
            begun = world.clock.now
            for second in range(10, 400, 10):
                await world.live(10)
                if restarts and second in {100, 200}:
                    await world.restart()
                await world.sample(d1, 10)
                await world.idle()
            shrunk = [d for d in await decisions(world, d1) if d.decision.desired < d.decision.previous]
            ends.append([(d.at - begun).total_seconds() for d in shrunk][:1])
            assert await target(world, d1) == 1
    assert ends[0] == ends[1] != []
    assert 300 <= ends[0][0] <= 310


async def test_a_restart_without_any_memory_never_scales_in_at_once(tmp_path: Path) -> None:
    async with world_of(tmp_path, reconciler=True) as world:
        d1 = await running(world, ScalingPolicy(), replicas=5)
        await world.when(c.SetScalingPolicy(deployment_id=d1, policy=TRACKED))

        await world.sample(d1, 10)
        await world.live(20)

        assert await target(world, d1) == 5
        last = (await decisions(world, d1))[-1].decision
        assert last.reasoning is not None
        assert (last.reason, last.reasoning.able) == (DecisionReason.STABILIZED, Able.DOWN_STABILIZED)


async def test_the_edges_of_a_schedule_need_no_sample(tmp_path: Path) -> None:
    lunch = ScheduleRule(name="lunch", time_zone="UTC", start="30 12 * * *", end="0 13 * * *", floor=3)
    async with world_of(tmp_path, reconciler=True) as world:
        d1 = await running(world, ScalingPolicy(rules=(lunch,)))
        assert SetClock.now.hour == 12

        await world.live(29 * 60)
        assert await target(world, d1) == 1
        await world.live(2 * 60)
        assert await target(world, d1) == 3
        await world.restart()
        await world.live(30 * 60)

        assert await target(world, d1) == 1
        changes = [d for d in await decisions(world, d1) if d.decision.desired != d.decision.previous]
        assert [change.at.strftime("%H:%M") for change in changes] == ["12:30", "13:00"]


async def test_samples_that_grow_too_old_are_noticed_without_news(tmp_path: Path) -> None:
    async with world_of(tmp_path, reconciler=True) as world:
        d1 = await running(world, TRACKED)
        await world.sample(d1, 10)
        await world.live(100)
        assert (await decisions(world, d1))[-1].decision.reason is DecisionReason.UNCHANGED
        sampled = world.clock.now - timedelta(seconds=100)

        await world.live(300)

        last = (await decisions(world, d1))[-1]
        assert last.decision.reason is DecisionReason.NO_METRICS
        assert 0 <= (last.at - sampled).total_seconds() - 300 < 1


async def test_every_evaluation_is_recorded_and_only_another_reason_is_an_event(tmp_path: Path) -> None:
    async with world_of(tmp_path, reconciler=True) as world:
        d1 = await running(world, TRACKED)
        for _ in range(30):
            await world.sample(d1, 10)
            await world.live(1)

        recorded = (await world.log.evaluations([d1], since=SetClock.now))[d1]
        assert len(recorded) == world.watch.of(Operation.CALCULATE) >= 30
        assert recorded[-1].recommended == 1
        assert len(await decisions(world, d1)) <= 3


async def test_reasons_that_alternate_are_recorded_now_and_then(tmp_path: Path) -> None:
    """Within tolerance and stabilized take turns every second, for a minute."""
    async with world_of(tmp_path, reconciler=True) as world:
        d1 = await running(world, TRACKED, replicas=3)
        before = len(await decisions(world, d1))
        for second in range(60):
            await world.sample(d1, 30 if second % 2 else 10)
            await world.live(1)

        assert 3 <= len(await decisions(world, d1)) - before <= 7


async def test_what_sleeps_is_woken_by_activity_and_sleeps_again_after_its_cooldown(tmp_path: Path) -> None:
    async with world_of(tmp_path, reconciler=True) as world:
        d1 = await running(world, ScalingPolicy(rules=(ACTIVE,)))
        await world.sample(d1, 0)
        await world.live(61)
        assert await target(world, d1) == 0

        await world.sample(d1, 1)
        await world.idle()

        assert (await world.state(d1)).active_count == 2


async def test_what_was_set_to_zero_by_hand_is_not_woken_by_rules(tmp_path: Path) -> None:
    async with world_of(tmp_path, reconciler=True) as world:
        policy = TRACKED.model_copy(update={"min_replicas": 0})
        d1 = await running(world, policy)
        await world.when(c.SetReplicaCount(deployment_id=d1, replica_count=0))
        await world.idle()

        await world.sample(d1, 1000)
        await world.live(60)

        assert await target(world, d1) == 0
        assert (await decisions(world, d1))[-1].decision.reason is DecisionReason.DISABLED


async def test_applying_a_specification_again_does_not_reset_the_number_that_the_rules_came_to(tmp_path: Path) -> None:
    async with world_of(tmp_path, reconciler=True) as world:
        d1 = await running(world, TRACKED)
        await world.sample(d1, 40)
        await healthy(world, d1)

        await world.when(c.SetScalingPolicy(deployment_id=d1, policy=TRACKED.model_copy(update={"max_replicas": 10})))
        await world.live(30)

        assert await target(world, d1) == 4


async def test_routes_that_are_not_ready_after_a_rollout_cause_no_further_scale_up(tmp_path: Path) -> None:
    per_route = TargetTrackingRule(name="util", source=MetricSource.KERNEL, metric="util", target=50)
    async with world_of(tmp_path, reconciler=True) as world:
        d1 = await running(world, ScalingPolicy(rules=(per_route,), max_replicas=20), replicas=2)
        state = await world.state(d1)
        await world.sample_routes(d1, "util", dict.fromkeys(state.routes, 100.0))
        await world.idle()
        assert await target(world, d1) == 4

        for _ in range(5):
            await world.live(5)
            state = await world.state(d1)
            hot = {key: 100.0 for key, route in state.routes.items() if route.status is RouteStatus.HEALTHY}
            await world.sample_routes(d1, "util", hot)
            await world.idle()

        assert await target(world, d1) == 4


async def test_an_override_that_ends_gives_back_to_the_rules_without_a_sample(tmp_path: Path) -> None:
    async with world_of(tmp_path, reconciler=True) as world:
        d1 = await running(world, TRACKED)
        until = world.clock.now + timedelta(seconds=60)
        await world.when(c.OverrideReplicas(deployment_id=d1, replica_count=6, until=until))
        await world.sample(d1, 100)
        await world.live(59)
        assert await target(world, d1) == 6

        await world.live(2)

        assert await target(world, d1) == 10


async def test_what_another_owner_saw_meanwhile_counts_when_a_partition_comes_back(tmp_path: Path) -> None:
    async with world_of(tmp_path, reconciler=True) as world:
        d1 = await running(world, TRACKED)
        await world.sample(d1, 40)
        await healthy(world, d1)
        world.lose(0)
        await world.live(600)
        sample = MetricSample(source=MetricSource.INFERENCE_FRAMEWORK, metric="queue", value=40, at=world.clock.now)
        seen = SampleReport(deployment_id=d1, received_at=world.clock.now, samples=(sample,))
        said = EvaluationRecord(world.clock.now, 99, world.clock.now, 4, 4, 4, None)
        await world.log.append(LogBatch(samples=(seen,), evaluations=(DeploymentEvaluation(d1, said),)))
        await world.live(5)

        world.gain(0)
        await world.live(15)
        await world.sample(d1, 10)
        await world.live(15)

        assert await target(world, d1) == 4
        last = (await decisions(world, d1))[-1].decision
        assert last.reason is DecisionReason.STABILIZED
