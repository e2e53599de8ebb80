"""Nothing ticks: each evaluation says when the next is due, and then something is different."""

import pytest

from domain.autoscaling.behavior import Behavior, RatePolicy, RateUnit, ScalingRules
from domain.autoscaling.history import ScalingHistory
from domain.autoscaling.metric import MetricSource
from domain.autoscaling.reasoning import Limited
from domain.autoscaling.rules import Comparator, ScheduleRule, StepRule, TargetTrackingRule
from tests.domain.autoscaling.worlds import (
    NOW,
    REMEMBERING,
    after,
    asking_for,
    evaluated,
    exactly,
    of_routes,
    remembering,
)

BUSY = StepRule(
    name="busy", source=MetricSource.KERNEL, metric="load", comparator=Comparator.GREATER_THAN, threshold=80, step=1
)
LATENCY = TargetTrackingRule(name="latency", source=MetricSource.KERNEL, metric="load", target=100)


def test_the_oldest_sample_makes_it_due_when_it_grows_stale() -> None:
    samples = [*of_routes([100.0], at=after(-100)), *of_routes([100.0], first=1)]

    assert evaluated(LATENCY, current=2, samples=samples).due_at == after(200)


def test_a_cooldown_makes_it_due_when_it_ends() -> None:
    evaluation = evaluated(BUSY, current=2, samples=of_routes([90.0] * 2), fired_at={"busy": after(-250)})

    assert evaluation.due_at == after(50)
    later = after(50)
    samples = of_routes([90.0] * 2, at=later)
    assert evaluated(BUSY, current=2, samples=samples, fired_at={"busy": after(-250)}, now=later).desired == 3


def test_a_stabilization_makes_it_due_when_what_holds_it_is_too_old() -> None:
    evaluation = evaluated(
        exactly(2), current=9, samples=[asking_for(2)], history=remembering([(200, 9), (100, 5), (50, 7)])
    )

    assert (evaluation.desired, evaluation.due_at) == (9, after(100))
    later = evaluated(
        exactly(2), current=9, samples=[asking_for(2, after(100))], history=evaluation.history, now=after(100)
    )
    assert (later.desired, later.due_at) == (7, after(250))


def test_a_rate_limit_makes_it_due_when_its_period_lets_go() -> None:
    slow = ScalingRules(policies=(RatePolicy(unit=RateUnit.REPLICAS, value=3, period_seconds=60),))
    policy = {"behavior": Behavior(scale_up=slow)}

    first = evaluated(exactly(20), current=5, samples=[asking_for(20)], policy=policy)
    assert (first.desired, first.due_at) == (8, after(60))
    soon = evaluated(
        exactly(20), current=8, samples=[asking_for(20, after(59))], history=first.history, now=after(59), policy=policy
    )
    assert (soon.desired, soon.due_at) == (8, after(60))
    then = evaluated(
        exactly(20), current=8, samples=[asking_for(20, after(60))], history=soon.history, now=after(60), policy=policy
    )
    assert then.desired == 11


def test_growing_by_default_doubles_in_a_quarter_of_a_minute_however_often_it_is_evaluated() -> None:
    """HPA doubles at each turn of a loop that takes as long; without a loop samples must not double it at will."""
    history, current, counts = REMEMBERING, 5, []
    for second in range(31):
        evaluation = evaluated(
            exactly(100),
            current=current,
            samples=[asking_for(100, after(second))],
            history=history,
            now=after(second),
        )
        history, current = evaluation.history, evaluation.desired
        counts.append(current)

    assert [counts[second] for second in (0, 14, 15, 29, 30)] == [10, 10, 20, 20, 40]


def test_growing_by_default_to_four_needs_no_doubling() -> None:
    assert evaluated(exactly(9), current=1, samples=[asking_for(9)]).desired == 4


def test_at_the_upper_bound_it_is_the_bound_that_limits_and_not_a_rate() -> None:
    evaluation = evaluated(
        exactly(20),
        current=10,
        samples=[asking_for(20)],
        history=remembering((), [(5, 8)]),
        policy={"max_replicas": 10},
    )

    assert (evaluation.desired, evaluation.reasoning.limited) == (10, Limited.TOO_MANY)


def test_the_first_of_several_times_counts() -> None:
    edge = ScheduleRule(name="edge", time_zone="UTC", start="1 12 * * *", end="2 12 * * *", floor=0)

    assert evaluated(LATENCY, edge, current=2, samples=of_routes([100.0] * 2)).due_at == after(60)


def test_without_anything_to_wait_for_nothing_is_due() -> None:
    assert evaluated(LATENCY, current=2).due_at is None


@pytest.mark.parametrize("age", [299.999999, 299.9999999])
def test_an_evaluation_is_never_due_in_the_past(age: float) -> None:
    evaluation = evaluated(LATENCY, current=1, samples=of_routes([100.0], at=after(-age)), history=ScalingHistory())

    assert evaluation.due_at is None or evaluation.due_at > NOW
