"""What an autoscaler must not do, whatever happens around it: what people complain of in others."""

from datetime import timedelta

import pytest

from domain import commands as c
from domain import events as e
from domain.autoscaling.decision import DecisionReason
from domain.autoscaling.history import ScalingHistory
from domain.autoscaling.metric import MetricSource
from domain.autoscaling.outcome import Finding, Verdict
from domain.autoscaling.rules import Comparator, ScalingPolicy, StepRule, TargetTrackingRule, TargetType
from domain.errors import RejectionCode
from domain.routes import RouteStatus
from tests.domain import histories as h
from tests.domain.autoscaling.worlds import (
    NOW,
    after,
    asking_for,
    evaluated,
    exactly,
    healthy,
    of_routes,
    of_whole,
    outcome,
    remembering,
    route,
)
from tests.domain.scenario import given

LATENCY = TargetTrackingRule(name="latency", source=MetricSource.KERNEL, metric="load", target=100)
BUSY = StepRule(
    name="busy", source=MetricSource.KERNEL, metric="load", comparator=Comparator.GREATER_THAN, threshold=80, step=1
)


def test_a_rollout_whose_new_routes_are_not_ready_does_not_scale_up() -> None:
    """Four busy routes look like too few, were it not for four new ones that are about to help."""
    rollout = [*healthy(4), *(route(number, RouteStatus.PROVISIONING) for number in range(4, 8))]

    evaluation = evaluated(LATENCY, current=4, samples=of_routes([150.0] * 4), routes=rollout)

    assert evaluation.desired == 4
    assert (outcome(evaluation).finding, outcome(evaluation).unready) == (Finding.HELD_BY_REBALANCING, 4)


def test_a_rollout_whose_new_routes_have_not_reported_yet_does_not_scale_up() -> None:
    evaluation = evaluated(LATENCY, current=4, samples=of_routes([150.0] * 4), routes=healthy(8))

    assert (evaluation.desired, outcome(evaluation).missing) == (4, 4)


def test_a_rollout_with_more_ready_routes_than_wanted_does_not_scale_up_while_the_metric_is_low() -> None:
    evaluation = evaluated(LATENCY, current=4, samples=of_routes([80.0] * 6), routes=healthy(6))

    assert evaluation.desired == 4
    assert (outcome(evaluation).recommended, outcome(evaluation).finding) == (5, Finding.CONTRADICTION)


def test_a_busy_start_of_a_replica_does_not_count_as_load() -> None:
    warm = LATENCY.model_copy(update={"initialization_seconds": 120.0, "window_seconds": 30.0})
    young = [route(number, created_at=after(-50), status_since=after(-20)) for number in range(4)]

    evaluation = evaluated(warm, current=4, samples=of_routes([900.0] * 4), routes=young)

    assert (evaluation.desired, evaluation.reason) == (4, DecisionReason.NO_METRICS)
    assert outcome(evaluation).finding is Finding.NONE_READY


def test_an_outage_does_not_scale_in_under_load() -> None:
    """Of five routes one serves; the load is twice the target, and twice one is two."""
    rule = LATENCY.model_copy(update={"target_type": TargetType.VALUE})
    routes = [route(0), *(route(number, RouteStatus.UNHEALTHY) for number in range(1, 5))]

    evaluation = evaluated(rule, current=5, samples=[of_whole(200)], routes=routes)

    assert (evaluation.desired, outcome(evaluation).recommended) == (5, 2)


def test_rounding_makes_no_replica() -> None:
    """The sum of 0.1 and 0.2 is a little more than 0.3 to a computer, and a third of 0.3 no reason for a fourth."""
    rule = LATENCY.model_copy(update={"target": 0.1})

    assert outcome(evaluated(rule, current=2, samples=of_routes([0.1, 0.2]))).recommended == 3


def test_from_zero_nothing_is_tolerated() -> None:
    rule = LATENCY.model_copy(update={"target_type": TargetType.VALUE})

    assert evaluated(rule, current=0, samples=[of_whole(95)]).desired == 1


def test_a_restart_never_scales_in_at_once() -> None:
    """What was recommended before is not known, so the current count is what was."""
    evaluation = evaluated(exactly(2), current=9, samples=[asking_for(2)], history=ScalingHistory())

    assert (evaluation.desired, evaluation.reason) == (9, DecisionReason.STABILIZED)
    assert evaluation.due_at == after(300)


def test_a_restart_scales_out_at_once() -> None:
    evaluation = evaluated(exactly(12), current=9, samples=[asking_for(12)], history=ScalingHistory())

    assert evaluation.desired == 12


def test_after_a_restart_scaling_in_follows_when_the_window_is_over() -> None:
    first = evaluated(exactly(2), current=9, samples=[asking_for(2)], history=ScalingHistory())

    for seconds, expected in ((60, 9), (299, 9), (300, 2)):
        now = after(seconds)
        later = evaluated(exactly(2), current=9, samples=[asking_for(2, now)], history=first.history, now=now)
        assert later.desired == expected


def test_after_a_long_time_without_evaluations_nothing_scales_in_at_once() -> None:
    history = remembering([(0, 9)])
    much_later = NOW + timedelta(hours=2)

    evaluation = evaluated(exactly(2), current=9, samples=[asking_for(2, much_later)], history=history, now=much_later)

    assert (evaluation.desired, evaluation.reason) == (9, DecisionReason.STABILIZED)


@pytest.mark.parametrize("rule", [LATENCY, BUSY], ids=["target tracking", "step"])
def test_a_stale_sample_is_not_a_sample(rule: TargetTrackingRule | StepRule) -> None:
    for age, expected in ((299, Verdict.RECOMMENDS), (300, Verdict.INVALID)):
        evaluation = evaluated(rule, current=3, samples=of_routes([150.0] * 3, at=after(-age)))

        assert outcome(evaluation).verdict is expected
        assert (evaluation.desired == 3) is (expected is Verdict.INVALID)


def test_a_route_whose_sample_is_stale_counts_as_missing() -> None:
    samples = [*of_routes([150.0]), *of_routes([150.0] * 2, at=after(-300), first=1)]

    evaluation = evaluated(LATENCY, current=3, samples=samples)

    assert (outcome(evaluation).reported, outcome(evaluation).missing, evaluation.desired) == (1, 2, 3)


def test_setting_a_policy_again_does_not_reset_the_count_that_the_rules_came_to() -> None:
    policy = ScalingPolicy(rules=(h.BUSY,), min_replicas=1, max_replicas=10)
    scaled = given(*h.READY, e.ScalingPolicySet(at=h.EARLIER, policy=policy), h.fired(h.BUSY, 2, 7))

    with_more = policy.model_copy(update={"rules": (h.BUSY, LATENCY)})
    when = scaled.when(c.SetScalingPolicy(deployment_id=h.DEPLOYMENT, policy=with_more))

    assert when.state.target_replica_count == 7


def test_a_time_zone_that_nobody_knows_is_refused_with_the_policy_that_names_it() -> None:
    schedule = {
        "kind": "schedule",
        "name": "s",
        "time_zone": "Atlantis/Capital",
        "start": "0 8 * * *",
        "end": "0 9 * * *",
    }
    policy = ScalingPolicy.model_validate({"rules": [{**schedule, "floor": 1}]})

    when = given(*h.READY).when(c.SetScalingPolicy(deployment_id=h.DEPLOYMENT, policy=policy))

    when.then_rejected(RejectionCode.UNKNOWN_TIME_ZONE, "policy.rules")
