"""What was measured before a change says nothing of what came of it: the same sample is not acted on twice."""

from collections.abc import Mapping
from datetime import datetime

from domain.autoscaling.behavior import Behavior, RatePolicy, RateUnit, ScalingRules
from domain.autoscaling.engine import Evaluation, ScalingInput, evaluate
from domain.autoscaling.history import ScalingHistory
from domain.autoscaling.metric import Comparator, MetricSource
from domain.autoscaling.outcome import Finding, Verdict
from domain.autoscaling.request_driven import RequestDrivenRule
from domain.autoscaling.rules import ScalingPolicy
from domain.autoscaling.samples import MetricSample
from domain.autoscaling.step import StepRule
from domain.autoscaling.target_tracking import TargetTrackingRule, TargetType
from tests.domain.autoscaling.worlds import (
    NOW,
    REMEMBERING,
    after,
    evaluated,
    healthy,
    of_routes,
    of_whole,
    outcome,
    windows,
)

LATENCY = TargetTrackingRule(
    name="latency", source=MetricSource.KERNEL, metric="load", target=10, target_type=TargetType.VALUE
)
BUSY = StepRule(
    name="busy",
    source=MetricSource.KERNEL,
    metric="load",
    comparator=Comparator.GREATER_THAN,
    threshold=80,
    step=1,
    cooldown_seconds=0,
)
REQUESTS = RequestDrivenRule(
    name="requests",
    source=MetricSource.KERNEL,
    metric="load",
    target_ongoing_requests=10,
    upscale_delay_seconds=30,
    downscale_delay_seconds=60,
)


def latency(value: float, current: int, seconds: float, history: ScalingHistory, *, at: float = 0.0) -> Evaluation:
    """Evaluate with a latency that was measured so many seconds after the beginning."""
    sample = of_whole(value, at=after(at))
    return evaluated(LATENCY, current=current, samples=[sample], history=history, now=after(seconds))


def stepped(
    sample: MetricSample, *rules: StepRule, seconds: float = 0.0, used: Mapping[tuple[MetricSource, str], datetime]
) -> Evaluation:
    """Evaluate step rules of two replicas, where samples of these metrics were used already."""
    given = ScalingInput(
        current=2,
        routes=healthy(2),
        samples=windows([sample], after(seconds)),
        history=REMEMBERING,
        watermarks_used=used,
    )
    return evaluate(ScalingPolicy(rules=rules), given, after(seconds))


def test_one_measurement_of_the_whole_is_acted_on_once_however_often_it_is_looked_at() -> None:
    first = latency(20, 2, 0, REMEMBERING)
    again = latency(20, 4, 30, first.history)
    newer = latency(20, 4, 60, again.history, at=50)

    assert [each.desired for each in (first, again, newer)] == [4, 4, 8]
    assert outcome(again).finding is Finding.USED


def test_a_measurement_that_was_acted_on_counts_again_once_somebody_else_has_set_another_count() -> None:
    first = latency(20, 2, 0, REMEMBERING)

    assert latency(20, 3, 30, first.history).desired == 6


def test_a_step_rule_acts_once_on_a_sample() -> None:
    used = {(MetricSource.KERNEL, "load"): NOW}

    again = stepped(of_routes([90])[0], BUSY, seconds=30, used=used)
    newer = stepped(of_routes([90], at=after(20))[0], BUSY, seconds=30, used=used)

    assert (again.desired, outcome(again).verdict) == (2, Verdict.USED)
    assert newer.desired == 3


def test_a_step_rule_that_was_outranked_does_not_act_on_the_same_sample_a_moment_later() -> None:
    """Because it is the metric's sample that was used, and not the rule's."""
    outranking = BUSY.model_copy(update={"name": "outranking", "step": 3, "priority": 1, "cooldown_seconds": 600.0})

    first = stepped(of_routes([90])[0], BUSY, outranking, used={})
    used = first.decision().evaluation
    assert used is not None
    later = stepped(of_routes([90])[0], BUSY, outranking, seconds=1, used={(used.source, used.metric_name): NOW})

    assert (first.desired, later.desired) == (5, 2)


def test_a_need_that_is_ripe_stays_ripe_while_something_else_holds_the_count() -> None:
    """Stabilization of a minute outlasts the rule's own delay of half a minute."""
    up = ScalingRules(
        stabilization_window_seconds=60,
        policies=(RatePolicy(unit=RateUnit.REPLICAS, value=100, period_seconds=1),),
    )
    history, desired = REMEMBERING.recommended(2, NOW), []
    for seconds in range(0, 90, 10):
        evaluation = evaluated(
            REQUESTS,
            current=2,
            samples=[of_whole(60, at=after(seconds))],
            history=history,
            now=after(seconds),
            policy={"behavior": Behavior(scale_up=up)},
        )
        history = evaluation.history
        desired.append(evaluation.desired)

    assert desired == [2] * 8 + [6]


def test_a_need_must_last_anew_once_the_count_was_changed() -> None:
    def step(seconds: float, current: int, history: ScalingHistory) -> Evaluation:
        sample = of_whole(60, at=after(seconds))
        return evaluated(REQUESTS, current=current, samples=[sample], history=history, now=after(seconds))

    waits = step(0, 2, REMEMBERING)
    acts = step(30, 2, waits.history)
    limited = step(31, 4, acts.history)

    assert [each.desired for each in (waits, acts, limited)] == [2, 6, 4]
