"""The log explains itself: what was recorded, gone through again, comes to the same decisions."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from domain import commands as c
from domain.autoscaling.behavior import Behavior, RatePolicy, RateUnit, ScalingRules
from domain.autoscaling.metric import Comparator, MetricSource
from domain.autoscaling.request_driven import RequestDrivenRule
from domain.autoscaling.rules import Pause, ScalingPolicy, ScalingRule
from domain.autoscaling.scale_to_zero import ScaleToZeroRule
from domain.autoscaling.schedule import ScheduleRule
from domain.autoscaling.step import StepRule
from domain.autoscaling.target_tracking import TargetTrackingRule, TargetType
from domain.autoscaling.window_with_panic import WindowWithPanicRule
from domain.events import DeploymentEvent, DesiredReplicasCalculated
from domain.routes import RouteStatus
from domain.simulation.recorded import RecordedPast
from domain.simulation.simulate import reenacted, tried
from domain.simulation.trial import TrialLimits
from handlers.ports import Retained
from handlers.recorded_past import PastLimits, PastUnknown, read_past
from tests.executor_world import World, is_ready, world_of

QUEUE: dict[str, Any] = {"source": MetricSource.INFERENCE_FRAMEWORK, "metric": "queue"}
UTIL: dict[str, Any] = {"source": MetricSource.KERNEL, "metric": "util"}
LIMITS = TrialLimits(debounce_seconds=0)
MINUTE = timedelta(minutes=1)
RULES: dict[str, tuple[ScalingRule, ...]] = {
    "tracking": (TargetTrackingRule(name="t", **QUEUE, target=10, target_type=TargetType.TOTAL_AVERAGE),),
    "per replica": (TargetTrackingRule(name="u", **UTIL, target=50, max_sample_age_seconds=60),),
    "step": (
        StepRule(name="more", **UTIL, comparator=Comparator.GREATER_THAN, threshold=70, step=2, cooldown_seconds=60),
        StepRule(name="less", **UTIL, comparator=Comparator.LESS_THAN, threshold=20, step=-1, cooldown_seconds=90),
    ),
    "panic": (WindowWithPanicRule(name="w", **QUEUE, target=8),),
    "request-driven": (RequestDrivenRule(name="r", **QUEUE, target_ongoing_requests=6),),
    "to zero": (
        ScaleToZeroRule(name="z", **QUEUE, cooldown_seconds=60, cold_start_replicas=2),
        TargetTrackingRule(name="t", **QUEUE, target=10, target_type=TargetType.TOTAL_AVERAGE),
    ),
    "schedule": (
        ScheduleRule(name="lunch", time_zone="UTC", start="10 12 * * *", end="40 12 * * *", floor=3),
        TargetTrackingRule(name="t", **QUEUE, target=10, target_type=TargetType.TOTAL_AVERAGE),
    ),
}


async def act(world: World, d1: UUID, chance: Random) -> None:
    """Let something happen."""
    state = await world.state(d1)
    match chance.choices(
        ["queue", "util", "routes", "policy", "count", "override", "pause", "restart", "outage"],
        [40, 25, 15, 3, 2, 2, 3, 3, 2],
    )[0]:
        case "queue":
            await world.sample(d1, chance.choice([0, 0, 3, 10, 25, 80, 200]))
        case "util":
            active = sorted(route.id for route in state.active_routes)
            some = [key for key in active if chance.random() < 0.8]
            if some:
                await world.sample_routes(d1, "util", {key: chance.uniform(0, 120) for key in some})
        case "routes":
            for route in state.active_routes:
                if chance.random() < 0.6:
                    statuses = [RouteStatus.HEALTHY] * 4 + [RouteStatus.UNHEALTHY, RouteStatus.DEGRADED]
                    await world.report(d1, chance.choice(statuses), route.id)
            await world.end_terminating(d1)
        case "policy":
            await world.when(c.SetScalingPolicy(deployment_id=d1, policy=a_policy(chance.choice(list(RULES)), chance)))
        case "count":
            await world.when(c.SetReplicaCount(deployment_id=d1, replica_count=chance.choice([0, 1, 4, 30])))
        case "override":
            until = world.clock.now + timedelta(seconds=chance.randint(1, 200))
            await world.when(c.OverrideReplicas(deployment_id=d1, replica_count=chance.randint(0, 9), until=until))
        case "pause":
            await world.when(c.PauseScaling(deployment_id=d1, pause=chance.choice(list(Pause))))
        case "outage":
            await world.advance(0.001)
            await world.stop()
            world.clock.now += timedelta(seconds=chance.randint(310, 370))
            await world.start(reconciler=True)
        case _:
            await world.advance(0.001)
            await world.restart()


def a_policy(kind: str, chance: Random) -> ScalingPolicy:
    """Rules of a kind, with bounds and a pace."""
    quick = RatePolicy(unit=RateUnit.REPLICAS, value=chance.choice([1, 3]), period_seconds=chance.choice([15, 60]))
    down = ScalingRules(stabilization_window_seconds=chance.choice([0, 60, 300]), policies=(quick,))
    behavior = chance.choice([None, Behavior(scale_down=down)])
    least = 0 if kind == "to zero" else chance.choice([0, 1])
    return ScalingPolicy(rules=RULES[kind], min_replicas=least, max_replicas=chance.choice([5, 20]), behavior=behavior)


async def lived_through(world: World, kind: str, seed: int, seconds: float) -> tuple[UUID, datetime]:
    """An hour or so in which anything may happen."""
    chance = Random(seed)
    begun = world.clock.now
    d1 = await world.create(replica_count=2, scaling_policy=a_policy(kind, chance))
    await world.until(d1, is_ready)
    while (world.clock.now - begun).total_seconds() < seconds:
        await act(world, d1, chance)
        await world.live(chance.choice([0, 1, 15, 40, 120]))
    return d1, begun


@pytest.mark.parametrize("kind", RULES)
@settings(max_examples=2, deadline=None, phases=[Phase.generate])
@given(seed=st.integers(0, 2**32))
def test_the_recorded_rules_come_to_the_recorded_decisions_again(kind: str, seed: int) -> None:
    """Each decision with its time, counts, reason and whole reasoning; also when the past is entered in the middle."""
    with TemporaryDirectory() as folder:
        asyncio.run(reproduce(Path(folder), kind, seed))


async def reproduce(folder: Path, kind: str, seed: int) -> None:
    async with world_of(folder, reconciler=True) as world:
        d1, begun = await lived_through(world, kind, seed, 3600)
        until = world.clock.now + timedelta(seconds=1)

        past = await read_past(world.log, d1, begun, until)
        again = reenacted(past, begun, until, TrialLimits(decisions=world.settings.decisions))

        recorded = [event for event in await world.events(d1) if isinstance(event, DesiredReplicasCalculated)]
        assert again.differences == []
        assert [(taken.at, taken.decision) for taken in again.course.decisions] == [
            (event.at, event.decision) for event in recorded
        ]
        assert again.course.evaluations > 0

        middle = begun + timedelta(minutes=30)
        late_past = await read_past(world.log, d1, middle, until)
        late = reenacted(late_past, middle, until, TrialLimits(decisions=world.settings.decisions))
        assert late.differences == []
        assert late.course.decisions == [taken for taken in again.course.decisions if taken.at >= middle]


async def test_the_recorded_rules_from_a_file_come_to_what_happened_too(tmp_path: Path) -> None:
    """Until somebody set other rules, and from then on it is a trial."""
    async with world_of(tmp_path, reconciler=True) as world:
        begun, first = world.clock.now, ScalingPolicy(rules=RULES["tracking"])
        d1 = await world.create(replica_count=2, scaling_policy=first)
        await world.until(d1, is_ready)
        for value in (10, 40, 80, 20):
            await world.sample(d1, value)
            await world.live(20)
        changed = world.clock.now
        await world.when(c.SetScalingPolicy(deployment_id=d1, policy=ScalingPolicy(rules=RULES["panic"])))
        await world.live(60)
        until = world.clock.now
        past = await read_past(world.log, d1, begun, until, policies=[first])

        happened = reenacted(past, begun, until, LIMITS)
        same = tried(past, first, begun, until, limits=LIMITS)
        other = tried(past, ScalingPolicy(rules=RULES["step"]), begun, until, limits=LIMITS)

        assert happened.differences == []
        assert (same.as_recorded_until, other.as_recorded_until) == (changed, begun + datetime.resolution)
        before = [taken for taken in happened.course.decisions if taken.at < changed]
        assert same.course.decisions[: len(before)] == before
        assert len(before) > 3


async def test_a_trial_of_other_rules_goes_by_what_people_asked_for(tmp_path: Path) -> None:
    async with world_of(tmp_path, reconciler=True) as world:
        begun = world.clock.now
        d1 = await world.create(replica_count=2, scaling_policy=ScalingPolicy(rules=RULES["tracking"], min_replicas=1))
        await world.until(d1, is_ready)
        await world.live(10)
        await world.when(c.OverrideReplicas(deployment_id=d1, replica_count=7, until=world.clock.now + MINUTE))
        await world.live(100)
        await world.when(c.DestroyDeployment(deployment_id=d1))
        await world.live(10)
        past = await read_past(world.log, d1, begun, world.clock.now)

        found = tried(past, ScalingPolicy(rules=RULES["step"], min_replicas=1), begun, world.clock.now, limits=LIMITS)

        wanted = [entry.desired for entry in found.course.counts]
        assert (wanted[0], max(wanted), found.course.counts[-1].active) == (2, 7, 0)


def desires(event: DeploymentEvent) -> int | None:
    """What a decision comes to."""
    return event.decision.desired if isinstance(event, DesiredReplicasCalculated) else None


async def one_scaling_out(tmp_path: Path) -> tuple[RecordedPast, datetime, datetime]:
    """The record of a deployment that one sample scaled out, and the time that it is of."""
    async with world_of(tmp_path, reconciler=True) as world:
        d1 = await world.create(replica_count=1, scaling_policy=ScalingPolicy(rules=RULES["tracking"]))
        await world.until(d1, is_ready)
        begun = world.clock.now
        await world.live(1)
        await world.sample(d1, 40)
        await world.live(30)
        until = world.clock.now
        past = await read_past(world.log, d1, begun, until)
    return past, begun, until


async def test_a_record_that_was_altered_is_found_out(tmp_path: Path) -> None:
    """A sample that is another one, a decision that is another one, and an evaluation that is gone."""
    past, begun, until = await one_scaling_out(tmp_path)

    (arrival,) = past.arrivals
    changed = next(each for each in past.events if desires(each.event) == 4)
    assert isinstance(changed.event, DesiredReplicasCalculated)
    other_sample = arrival._replace(samples=[arrival.samples[0].model_copy(update={"value": 30.0})])
    decision = changed.event.decision.model_copy(update={"desired": 9})
    other_event = changed._replace(event=changed.event.model_copy(update={"decision": decision}))
    other_events = [other_event if each is changed else each for each in past.events]

    assert reenacted(past, begun, until, LIMITS).differences == []
    assert reenacted(replace(past, arrivals=[other_sample]), begun, until, LIMITS).differences
    assert reenacted(replace(past, events=other_events), begun, until, LIMITS).differences
    assert reenacted(replace(past, evaluations=past.evaluations[:1]), begun, until, LIMITS).differences


async def test_decisions_without_their_evaluations_are_no_proof(tmp_path: Path) -> None:
    """Only the first is taken over, if it is what the last evaluation before the beginning came to."""
    past, begun, until = await one_scaling_out(tmp_path)

    none = replace(past, evaluations=[each for each in past.evaluations if each.at < begun])
    first = next(each for each in past.events if desires(each.event) == 4)
    evaluated = next(number for number, each in enumerate(past.evaluations) if each.desired == 4)
    between = first.event.at + timedelta(seconds=0.5)
    late = first._replace(event=first.event.model_copy(update={"at": first.event.at + timedelta(seconds=1)}))
    events = [*past.events[: past.events.index(first)], late]
    entered = replace(past, events=events, evaluations=past.evaluations[: evaluated + 1])
    unexplained = replace(entered, evaluations=past.evaluations[:evaluated])

    forged, middle, lost = (
        reenacted(none, begun, until, LIMITS),
        reenacted(entered, between, until, LIMITS),
        reenacted(unexplained, between, until, LIMITS),
    )

    assert first.event.at in {difference.at for difference in forged.differences}
    assert (forged.unchecked, forged.course.decisions) == (0, [])
    assert (middle.unchecked, middle.differences) == (1, [])
    assert (lost.unchecked, lost.differences != []) == (0, True)


async def test_what_is_too_much_or_was_deleted_is_an_error(tmp_path: Path) -> None:
    async with world_of(tmp_path, reconciler=True) as world:
        d1 = await world.create(replica_count=1, scaling_policy=ScalingPolicy(rules=RULES["tracking"]))
        await world.until(d1, is_ready)
        begun = world.clock.now
        for value in (10, 20, 30):
            await world.sample(d1, value)
            await world.live(10)

        with pytest.raises(PastUnknown, match="more than 2 reports"):
            await read_past(world.log, d1, begun, world.clock.now, limits=PastLimits(reports=2))
        await world.log.prune(Retained.SAMPLES, before=begun + timedelta(seconds=15), limit=100)
        with pytest.raises(PastUnknown, match=r"metric_samples from before .* were deleted: begin at"):
            await read_past(world.log, d1, begun, world.clock.now)
