"""Kubernetes' HorizontalPodAutoscaler: its own test tables for metrics and pods, row by row."""

from math import ceil, floor

import pytest

from domain.autoscaling.decision import DecisionReason
from domain.autoscaling.engine import Evaluation
from domain.autoscaling.history import ScalingHistory
from domain.autoscaling.metric import MetricSource
from domain.autoscaling.outcome import Verdict
from domain.autoscaling.rules import TargetTrackingRule, TargetType
from domain.autoscaling.samples import MetricSample
from domain.message import MAX_REPLICAS
from domain.routes import Route, RouteStatus
from tests.domain.autoscaling.conformance_rows import HPA_KINDS, Row, rows_of
from tests.domain.autoscaling.worlds import after, evaluated, of_routes, of_whole, outcome, remembering, route

TARGET_TYPES = {
    "resource_utilization": TargetType.UTILIZATION,
    "pods_average_value": TargetType.AVERAGE_VALUE,
    "object_value": TargetType.VALUE,
    "external_value": TargetType.VALUE,
    "object_average_value": TargetType.TOTAL_AVERAGE,
    "external_average_value": TargetType.TOTAL_AVERAGE,
}
PER_POD = {"resource_utilization", "pods_average_value"}

# Objects and external metrics are one thing here, and a rule of an unknown kind is refused before it is ever asked:
# it stands in the table as a metric without an answer.
FAILURES = {"FailedGetObjectMetric": {"FailedGetExternalMetric"}, "InvalidMetricSourceType": {"FailedGetPodsMetric"}}


def pods(row: Row) -> list[Route]:
    """The row's pods as routes; where the table counts ready ones only by readiness, the others are unhealthy."""
    by_readiness = "ready_pods" in row or row["kind"] not in PER_POD
    ready: int = row["ready_pods"] if "ready_pods" in row else row["pod_count"]
    routes = []
    for number in range(row["pod_count"]):
        status = RouteStatus.HEALTHY
        if number in row.get("ignored", ()):
            status = RouteStatus.TERMINATING
        elif number in row.get("unready", ()):
            status = RouteStatus.UNHEALTHY if by_readiness else RouteStatus.PROVISIONING
        elif number in row.get("readiness_false", ()) or (by_readiness and number >= ready):
            status = RouteStatus.UNHEALTHY
        routes.append(route(number, status))
    return routes


def samples(row: Row, metric: str = "load") -> list[MetricSample]:
    """The row's values: one per pod, or totals, of which the first is the whole and others come by way of routes."""
    values = row.get("metric_values") or []
    if row["kind"] in PER_POD:
        return [*of_routes(values, metric=metric), *of_routes(row.get("requests", ()), metric=f"{metric}-request")]
    return [*(of_whole(value, metric=metric) for value in values[:1]), *of_routes(values[1:], metric=metric)]


def rule(row: Row, tolerance: Row, metric: str = "load") -> TargetTrackingRule:
    """The row's metric as a rule; where the target is not given the metric is not asked."""
    utilization = row["kind"] == "resource_utilization"
    return TargetTrackingRule(
        name=metric,
        source=MetricSource.KERNEL,
        metric=metric,
        target_type=TARGET_TYPES.get(row["kind"], TargetType.AVERAGE_VALUE),
        target=row.get("target") or 1.0,
        scale_up_tolerance=tolerance["up"],
        scale_down_tolerance=tolerance["down"],
        request_metric=f"{metric}-request" if utilization else None,
    )


def history(row: Row) -> ScalingHistory:
    """What is remembered: nothing, unless the row says what (if only that it is nothing)."""
    if row.get("level") == "reconcile" and row.get("initial_recommendations") is None:
        return ScalingHistory()
    known = row.get("initial_recommendations") or []
    return remembering((entry.get("age_seconds", 0), entry["replicas"]) for entry in known)


def evaluate_row(row: Row, *rules: TargetTrackingRule, given: list[MetricSample]) -> Evaluation:
    """Evaluate the row's deployment."""
    bounds = {
        "min_replicas": row.get("min") or 0,
        "max_replicas": MAX_REPLICAS if row.get("max") is None else row["max"],
    }
    # At zero HPA scales only what it brought there itself, and only behind a feature gate.
    by_itself = row.get("scale_to_zero_gate", False) and row.get("scaled_to_zero_condition", False)
    stopped = row.get("level") == "reconcile" and row["current_replicas"] == 0 and not by_itself
    return evaluated(
        *rules,
        current=row["current_replicas"],
        samples=given,
        routes=pods(row),
        history=history(row),
        policy=bounds if row.get("level") == "reconcile" else None,
        stopped=stopped,
    )


def assert_reconciled(row: Row, evaluation: Evaluation) -> None:
    """The final count, and the reasons in HPA's conditions."""
    expected = row.get("expected_replicas_unchanged", row["current_replicas"])
    assert evaluation.desired == (expected if row["expected"] is None else row["expected"])
    if "expected_limit_reason" in row:
        assert evaluation.reasoning.limited == row["expected_limit_reason"]
    for key in ("expected_error", "expected_reason"):
        if key in row:
            assert evaluation.reasoning.active in FAILURES.get(row[key], {row[key]})


@pytest.mark.parametrize("row", rows_of(HPA_KINDS))
def test_a_metric_comes_to_the_same_count_as_with_hpa(row: Row) -> None:
    evaluation = evaluate_row(row, rule(row, row["tolerance"]), given=samples(row))

    if row.get("level") == "reconcile":
        assert_reconciled(row, evaluation)
        return
    seen = outcome(evaluation)
    if row["expected"] is None:
        assert (seen.verdict, seen.recommended) == (Verdict.INVALID, None)
        return
    assert seen.recommended == row["expected"]
    assert seen.value is not None
    if "expected_utilization" in row:
        assert seen.value == row["expected_utilization"]
    if "expected_usage" in row and row["current_replicas"]:
        rounded = floor if row["kind"] == "pods_average_value" else ceil
        assert rounded(seen.value) == int(float(row["expected_usage"]))


@pytest.mark.parametrize("row", rows_of({"multi_metric"}))
def test_several_metrics_come_to_the_same_count_as_with_hpa(row: Row) -> None:
    metrics = [(f"metric-{number}", metric) for number, metric in enumerate(row["metrics"])]
    rules = [rule(metric, row["tolerance"], name) for name, metric in metrics]
    given = [
        sample
        for name, metric in metrics
        if metric.get("kind") in HPA_KINDS and not metric.get("error")
        for sample in samples(metric, name)
    ]

    evaluation = evaluate_row(row, *rules, given=given)

    assert_reconciled(row, evaluation)
    known = {sample.metric for sample in given}
    for seen, (name, _) in zip(evaluation.reasoning.rules, metrics, strict=False):
        assert (seen.verdict is Verdict.INVALID) == (name not in known)


@pytest.mark.parametrize("row", rows_of({"hpa_pod_group"}))
def test_a_pod_is_counted_where_hpa_counts_it(row: Row) -> None:
    readiness = {True: RouteStatus.HEALTHY, False: RouteStatus.UNHEALTHY, None: RouteStatus.PROVISIONING}
    status = readiness[row.get("ready")]
    if row.get("phase") in {"Succeeded", "Failed"} or row.get("deleted"):
        status = RouteStatus.TERMINATED
    started = after(-row.get("start_age_s", 3600))
    changed_ago: float = row["transition_age_s"] if "transition_age_s" in row else row.get("start_age_s", 0)
    one = route(
        0,
        status,
        created_at=started,
        status_since=after(-changed_ago),
    )
    is_cpu = row["metric"] == "cpu"
    tracking = TargetTrackingRule(
        name="cpu",
        source=MetricSource.KERNEL,
        metric="load",
        target_type=TargetType.UTILIZATION,
        target=50,
        window_seconds=row.get("sample_window_s", 0),
        initialization_seconds=row["cpu_initialization_period_s"] if is_cpu else None,
        initial_readiness_delay_seconds=row["initial_readiness_delay_s"],
    )
    has_sample = row["expected_group"] != "missing"
    given = of_routes([1.0], at=after(-row.get("sample_age_s", 0))) if has_sample else []

    seen = outcome(evaluated(tracking, current=1, samples=given, routes=[one]))

    groups = {"ready": seen.reported, "unready": seen.unready, "missing": seen.missing, "ignored": seen.ignored}
    assert groups == {group: int(group == row["expected_group"]) for group in groups}


@pytest.mark.parametrize("row", rows_of({"hpa_per_pod_usage"}))
def test_a_total_is_divided_by_the_replicas_without_overflow(row: Row) -> None:
    tracking = rule({"kind": "external_average_value", "target": 1}, {"up": 0.1, "down": 0.1})

    seen = outcome(evaluated(tracking, current=row["replicas"], samples=[of_whole(row["total"])]))

    assert seen.value == float(row["expected"])


def test_a_count_that_was_set_to_zero_by_hand_is_left_there() -> None:
    row = {"kind": "object_value", "target": 1}

    evaluation = evaluated(
        rule(row, {"up": 0.1, "down": 0.1}), current=0, samples=[of_whole(5)], policy={"min_replicas": 1}, stopped=True
    )

    assert (evaluation.desired, evaluation.reason) == (0, DecisionReason.DISABLED)
