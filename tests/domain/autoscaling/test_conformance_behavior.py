"""Kubernetes' ``behavior``: how fast a count may follow, and what recent recommendations hold back, row by row."""

from collections.abc import Iterable

import pytest

from domain.autoscaling.behavior import DEFAULT_DOWN_WINDOW, Behavior, RatePolicy, RateUnit, ScalingRules, SelectPolicy
from domain.autoscaling.engine import Evaluation
from domain.autoscaling.history import ScalingHistory
from domain.message import MAX_REPLICAS
from tests.domain.autoscaling.conformance_rows import Row, rows_of
from tests.domain.autoscaling.test_conformance_hpa import rule as metric_rule
from tests.domain.autoscaling.test_conformance_hpa import samples as metric_samples
from tests.domain.autoscaling.worlds import NOW, REMEMBERING, asking_for, evaluated, exactly, remembering

UNITS = {"Pods": RateUnit.REPLICAS, "Percent": RateUnit.PERCENT}
SELECT = {"Max": SelectPolicy.MAX_CHANGE, "Min": SelectPolicy.MIN_CHANGE, "Disabled": SelectPolicy.DISABLED}
ANY_RATE = (RatePolicy(unit=RateUnit.REPLICAS, value=MAX_REPLICAS, period_seconds=1),)


def scaling_rules(rules: Row | None, default_window: float) -> ScalingRules:
    """One direction's rules; a window that is left out is the controller's default."""
    if rules is None:
        return ScalingRules(policies=ANY_RATE)
    window = rules.get("stabilizationWindowSeconds")
    return ScalingRules(
        stabilization_window_seconds=default_window if window is None else window,
        select=SELECT[rules.get("selectPolicy") or "Max"],
        policies=tuple(
            RatePolicy(unit=UNITS[policy["type"]], value=policy["value"], period_seconds=policy["periodSeconds"])
            for policy in rules["policies"]
        ),
    )


def behavior(up: Row | None, down: Row | None) -> Behavior:
    """Both directions' rules."""
    return Behavior(scale_up=scaling_rules(up, 0), scale_down=scaling_rules(down, DEFAULT_DOWN_WINDOW))


def windows_only(up: float, down: float) -> Behavior:
    """Stabilization windows, and no limit of speed."""
    return Behavior(
        scale_up=ScalingRules(stabilization_window_seconds=up, policies=ANY_RATE),
        scale_down=ScalingRules(stabilization_window_seconds=down, policies=ANY_RATE),
    )


def changes(row: Row) -> Iterable[tuple[float, int]]:
    """The row's scale events, those downwards with their sign."""
    for entry in row.get("scale_up_events", ()):
        yield entry["age_seconds"], entry["change"]
    for entry in row.get("scale_down_events", ()):
        yield entry["age_seconds"], -entry["change"]


def wanting(
    wanted: int,
    current: int,
    around: Behavior | None,
    history: ScalingHistory,
    least: int = 0,
    most: int = MAX_REPLICAS,
) -> Evaluation:
    """Evaluate a deployment whose metric asks for ``wanted`` replicas."""
    policy = {"min_replicas": least, "max_replicas": most, "behavior": around}
    return evaluated(exactly(wanted), current=current, samples=[asking_for(wanted)], history=history, policy=policy)


def raw_limit(evaluation: Evaluation) -> int | None:
    """How far the rate policies alone would let the count go."""
    rate_limit = evaluation.reasoning.rate_limit
    return None if rate_limit is None else rate_limit.limit


@pytest.mark.parametrize("row", rows_of({"clamp_default"}))
def test_without_behavior_growth_is_limited_as_with_hpa(row: Row) -> None:
    evaluation = wanting(row["desired_replicas"], row["current_replicas"], None, REMEMBERING, row["min"], row["max"])

    assert (evaluation.desired, evaluation.reasoning.limited) == (row["expected"], row["expected_reason"])


@pytest.mark.parametrize("row", rows_of({"behavior_rate"}))
def test_rate_policies_let_the_count_go_as_far_as_with_hpa(row: Row) -> None:
    around = behavior(row["scale_up_rules"], row["scale_down_rules"])
    history = remembering((), changes(row))

    evaluation = wanting(
        row["desired_replicas"], row["current_replicas"], around, history, row.get("min") or 0, row["max"]
    )

    assert evaluation.desired == row["expected"]
    if "expected_reason" in row:
        assert evaluation.reasoning.limited == row["expected_reason"]


@pytest.mark.parametrize("row", rows_of({"scale_up_limit"}))
def test_the_limit_upwards_is_that_of_hpa(row: Row) -> None:
    around = behavior(row["scale_up_rules"], None)

    evaluation = wanting(MAX_REPLICAS, row["current_replicas"], around, remembering((), changes(row)))

    assert raw_limit(evaluation) == row["expected"]


@pytest.mark.parametrize("row", rows_of({"scale_down_limit"}))
def test_the_limit_downwards_is_that_of_hpa(row: Row) -> None:
    around = behavior(None, {**row["scale_down_rules"], "stabilizationWindowSeconds": 0})

    evaluation = wanting(0, row["current_replicas"], around, remembering((), changes(row)))

    assert raw_limit(evaluation) == row["expected"]


@pytest.mark.parametrize("direction", [1, -1], ids=["up", "down"])
@pytest.mark.parametrize("row", rows_of({"store_scale_event"}))
def test_changes_are_remembered_as_long_as_a_policy_looks_back(row: Row, direction: int) -> None:
    before = [(entry["age_seconds"], direction * entry["change"]) for entry in row["previous_events"]]
    minute = {"policies": [{"type": "Pods", "value": 10_000, "periodSeconds": 60}], "stabilizationWindowSeconds": 0}
    current, change = 100 + row["previous_replicas"], direction * row["replica_change"]

    evaluation = wanting(current + change, current, behavior(minute, minute), remembering((), before))

    assert evaluation.reasoning.rate_limit is not None
    assert (current - evaluation.reasoning.rate_limit.start) * direction == row["expected"]
    longest = max((policy["periodSeconds"] for policy in (row.get("rules") or {}).get("policies", ())), default=60)
    kept = [c for at, c in evaluation.history.changes if (NOW - at).total_seconds() < longest]
    stored = [direction * entry["change"] for entry in row["expected_events_after"] if not entry["outdated"]]
    assert sorted(kept) == sorted(stored)


@pytest.mark.parametrize("row", rows_of({"stabilize_down_global"}))
def test_the_highest_recommendation_of_the_window_counts_as_with_hpa(row: Row) -> None:
    known = [(entry["age_seconds"], entry["replicas"]) for entry in row["recommendations"]]
    # The table leaves the current count out: from high enough it has no part in the result.
    current = max([row["desired_replicas"], *(replicas for _, replicas in known)])
    around = windows_only(0, row["window_seconds"])

    evaluation = wanting(row["desired_replicas"], current, around, remembering(known))

    assert evaluation.desired == row["expected"]


@pytest.mark.parametrize("row", rows_of({"stabilize_behavior"}))
def test_windows_in_both_directions_hold_as_with_hpa(row: Row) -> None:
    known = [(entry["age_seconds"], entry["replicas"]) for entry in row["recommendations"]]
    around = windows_only(row["scale_up_stabilization_seconds"], row["scale_down_stabilization_seconds"])

    evaluation = wanting(row["desired_replicas"], row["current_replicas"], around, remembering(known))

    assert evaluation.reasoning.stabilized == row["expected"]


@pytest.mark.parametrize("row", rows_of({"reconcile_timing"}))
def test_what_is_remembered_holds_a_whole_evaluation_as_with_hpa(row: Row) -> None:
    metrics = [(f"metric-{number}", metric) for number, metric in enumerate(row["metrics"])]
    tolerance = row.get("tolerance") or {"up": 0.1, "down": 0.1}
    known = row["recommendations"]
    history = (
        ScalingHistory() if known is None else remembering((entry["age_seconds"], entry["replicas"]) for entry in known)
    )

    evaluation = evaluated(
        *(metric_rule(metric, tolerance, name) for name, metric in metrics),
        current=row["current_replicas"],
        samples=[sample for name, metric in metrics for sample in metric_samples(metric, name)],
        history=history,
        policy={"min_replicas": row["min"], "max_replicas": row["max"]},
    )

    assert evaluation.desired == row["expected"]
    if "expected_reason" in row:
        assert evaluation.reasoning.limited == row["expected_reason"]
    if "expected_able_to_scale_reason" in row:
        assert evaluation.reasoning.able == row["expected_able_to_scale_reason"]
