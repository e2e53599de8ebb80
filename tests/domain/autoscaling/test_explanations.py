import pytest

from domain.autoscaling.behavior import Behavior, RatePolicy, RateUnit, ScalingRules
from domain.autoscaling.decision import DecisionReason, ScalingDecision
from domain.autoscaling.explain import explain
from domain.autoscaling.history import ScalingHistory
from domain.autoscaling.metric import MetricSource
from domain.autoscaling.outcome import Finding, RuleOutcome, Verdict
from domain.autoscaling.outcome_words import describe_outcome, number
from domain.autoscaling.rules import (
    Comparator,
    RequestDrivenRule,
    ScaleToZeroRule,
    ScheduleRule,
    StepRule,
    TargetTrackingRule,
    TargetType,
)
from domain.routes import RouteStatus
from tests.domain.autoscaling.worlds import (
    REMEMBERING,
    after,
    asking_for,
    evaluated,
    exactly,
    healthy,
    of_routes,
    of_whole,
    remembering,
    route,
)

LATENCY = TargetTrackingRule(
    name="latency", source=MetricSource.KERNEL, metric="load", target=300, unit="ms", scale_down_tolerance=0.1
)
TWO_A_MINUTE = ScalingRules(policies=(RatePolicy(unit=RateUnit.REPLICAS, value=2, period_seconds=60),))
BUSY = StepRule(
    name="busy",
    source=MetricSource.KERNEL,
    metric="load",
    comparator=Comparator.GREATER_THAN,
    threshold=80,
    step=3,
    max_replicas=6,
)


def test_a_change_is_explained_from_the_samples_to_the_count() -> None:
    evaluation = evaluated(
        LATENCY,
        current=7,
        samples=of_routes([412.0] * 7),
        policy={"behavior": Behavior(scale_up=TWO_A_MINUTE)},
    )

    assert explain(evaluation) == (
        "7 → 9: rule latency: 7 of 7 routes reported, mean 412 ms / target 300 ms = 1.37 → 10; "
        "scale-up policy 2 per 60 s from 7 → 9"
    )


def test_routes_that_were_left_out_are_counted_in_words() -> None:
    routes = [*healthy(5), route(5, RouteStatus.PROVISIONING), route(6, RouteStatus.PROVISIONING)]

    evaluation = evaluated(LATENCY, current=7, samples=of_routes([412.0] * 4), routes=routes)

    assert explain(evaluation) == (
        "7 → 7: rule latency: 4 of 7 routes reported (1 missing, 2 not ready), mean 412 ms / target 300 ms = 1.37, "
        "0.785 with the missing and unready counted cautiously, which is no reason → 7"
    )


def test_a_held_recommendation_says_what_holds_it() -> None:
    evaluation = evaluated(LATENCY, current=7, samples=of_routes([90.0] * 7), history=remembering([(100, 7), (40, 6)]))

    assert explain(evaluation) == (
        "7 → 7: rule latency: 7 of 7 routes reported, mean 90 ms / target 300 ms = 0.3 → 3; "
        "held at 7 by the highest recommendation of the last 300 s (of 11:58:20)"
    )


def test_every_rule_is_gone_through_the_winner_first() -> None:
    evaluation = evaluated(
        BUSY, LATENCY, exactly(5), current=3, samples=[*of_routes([90.0] * 3), asking_for(5)], history=REMEMBERING
    )

    assert explain(evaluation) == (
        "3 → 6: rule busy: 3 of 3 routes reported, mean 90 > 80 → 3 + 3 = 6; "
        "rule latency: 3 of 3 routes reported, mean 90 ms / target 300 ms = 0.3 → 1; "
        "rule exactly: 1.667 per replica / target 1 = 1.67 → 5"
    )


@pytest.mark.parametrize(
    ("current", "load", "policy", "expected"),
    [
        (4, 90.0, {}, "4 → 6: rule busy: 4 of 4 routes reported, mean 90 > 80 → 4 + 3 = 7, cut to 6"),
        (4, 50.0, {}, "4 → 4: rule busy: 4 of 4 routes reported, mean 50 ≤ 80 → no opinion"),
        (
            6,
            90.0,
            {},
            "6 → 6: rule busy: 6 of 6 routes reported, mean 90 > 80 → 9, which its own bounds do not allow",
        ),
        (
            3,
            90.0,
            {"max_replicas": 4},
            "3 → 4: rule busy: 3 of 3 routes reported, mean 90 > 80 → 3 + 3 = 6; at most 4 → 4",
        ),
        (
            3,
            90.0,
            {"pause": "all"},
            "3 → 3: rule busy: 3 of 3 routes reported, mean 90 > 80 → 3 + 3 = 6; paused, so it stays at 3",
        ),
        (9, 90.0, {"max_replicas": 7}, "9 → 7: 9 is outside the bounds 0 to 7"),
        (1, 90.0, {"min_replicas": 2}, "1 → 2: 1 is outside the bound of at least 2"),
    ],
)
def test_steps_bounds_and_pauses_have_words(
    current: int, load: float, policy: dict[str, object], expected: str
) -> None:
    assert explain(evaluated(BUSY, current=current, samples=of_routes([load] * current), policy=policy)) == expected


def test_a_rule_that_rests_says_until_when() -> None:
    evaluation = evaluated(BUSY, current=2, samples=of_routes([90.0] * 2), fired_at={"busy": after(-100)})

    assert explain(evaluation) == ("2 → 2: rule busy: 2 of 2 routes reported, mean 90 > 80 → resting until 12:03:20")


def test_rules_of_the_whole_have_words() -> None:
    queue = LATENCY.model_copy(update={"name": "queue", "target_type": TargetType.VALUE, "unit": ""})
    requests = RequestDrivenRule(name="requests", source=MetricSource.KERNEL, metric="load")
    zero = ScaleToZeroRule(name="zero", source=MetricSource.KERNEL, metric="load", activation_threshold=5000)
    sample = [of_whole(1200.0)]

    assert explain(evaluated(queue, current=2, samples=sample)) == (
        "2 → 4: rule queue: total 1200 / target 300 = 4 → 8; scale-up policy 100 % per 15 s from 2 → 4"
    )
    assert explain(evaluated(requests, current=2, samples=sample)) == (
        "2 → 2: rule requests: 600 per replica / target 2 = 300, 600 if that lasts → 2"
    )
    assert explain(evaluated(zero, current=2, samples=sample)) == (
        "2 → 2: rule zero: total 1200 ≤ activation threshold 5000 → idle, but not for long enough"
    )


def test_a_rule_without_samples_is_explained() -> None:
    evaluation = evaluated(LATENCY, current=7)

    assert explain(evaluation) == (
        "7 → 7: rule latency: no samples that count → cannot tell; nothing is removed while a rule cannot tell"
    )


def test_the_floor_of_a_schedule_is_explained() -> None:
    noon = ScheduleRule(name="noon", time_zone="UTC", start="0 11 * * *", end="0 13 * * *", floor=4)

    assert (
        explain(evaluated(noon, current=2))
        == "2 → 4: 2 is outside the bound of at least 4; rule noon: open, at least 4"
    )


def test_what_no_rule_decided_is_explained() -> None:
    assert explain(evaluated(current=2, baseline=5)) == "2 → 5: no rule sizes it, so the number set by hand counts"
    assert explain(evaluated(current=2, override=5)) == "2 → 5: the number is held against the rules"
    assert explain(evaluated(current=0, stopped=True)) == (
        "0 → 0: it was set to 0 by hand, and the rules leave it there"
    )


def test_a_decision_is_explained_the_same_after_it_was_stored() -> None:
    evaluation = evaluated(LATENCY, BUSY, current=7, samples=of_routes([412.0] * 7), history=ScalingHistory())

    stored = ScalingDecision.model_validate_json(evaluation.decision().model_dump_json())

    assert stored == evaluation.decision()
    assert explain(stored) == explain(evaluation)


@pytest.mark.parametrize("reason", DecisionReason)
def test_a_decision_of_the_first_release_is_explained_in_short(reason: DecisionReason) -> None:
    assert explain(ScalingDecision(previous=2, desired=3, reason=reason)).startswith("2 → 3: ")


@pytest.mark.parametrize("verdict", Verdict)
@pytest.mark.parametrize("finding", [None, *Finding])
def test_every_verdict_and_finding_has_words(verdict: Verdict, finding: Finding | None) -> None:
    outcome = RuleOutcome(rule="r", kind="step", verdict=verdict, finding=finding, recommended=2)

    assert describe_outcome(outcome, 1).startswith("rule r: ")


def test_numbers_have_as_many_digits_as_say_something() -> None:
    assert [number(n) for n in (0.0, 0.12345, 412.0, 999.96, 12_345.6, 9.3e18)] == [
        "0",
        "0.1235",
        "412",
        "1000",
        "12346",
        "9.3e+18",
    ]
