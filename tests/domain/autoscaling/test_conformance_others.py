"""Knative's, Ray Serve's and Nomad's autoscalers: their own test tables, row by row."""

from collections.abc import Sequence

import pytest

from domain.autoscaling.behavior import Behavior, RatePolicy, RateUnit, ScalingRules
from domain.autoscaling.engine import Evaluation
from domain.autoscaling.history import PanicMemory, ScalingHistory
from domain.autoscaling.metric import MetricSource
from domain.autoscaling.rules import RequestDrivenRule, TargetTrackingRule, TargetType, WindowWithPanicRule
from domain.autoscaling.samples import MetricSample
from domain.message import MAX_REPLICAS
from domain.routes import RouteStatus
from tests.domain.autoscaling.conformance_rows import Row, rows_of
from tests.domain.autoscaling.worlds import (
    NOW,
    REMEMBERING,
    after,
    asking_for,
    evaluated,
    exactly,
    healthy,
    of_whole,
    outcome,
    route,
)

CALM = ScalingHistory(evaluated_at=NOW, memories={"kpa": PanicMemory()})


def kpa_rule(row: Row, step: Row) -> WindowWithPanicRule:
    """The row's decider; a step of a sequence may change the target."""
    return WindowWithPanicRule(
        name="kpa",
        source=MetricSource.KERNEL,
        metric="load",
        target={"target": 10, **row, **step}["target"],
        target_utilization_percentage=100,
        stable_window_seconds=row.get("stable_window_seconds", 60),
        panic_threshold=row.get("panic_threshold", 2),
        max_scale_up_rate=row.get("max_scale_up_rate", 10),
        max_scale_down_rate=row.get("max_scale_down_rate", 10),
        scale_down_delay_seconds=row.get("scale_down_delay_seconds", 0),
        activation_scale=row.get("activation_scale", 1),
    )


def kpa_samples(rule: WindowWithPanicRule, step: Row, at: float) -> list[MetricSample]:
    """Two samples, one in each window, whose means are the two values that the table gives."""
    values: Row = {"panic_value": step["stable_value"], **step}
    stable, panic = values["stable_value"], values["panic_value"]
    long_ago = at - (rule.panic_window_seconds + rule.stable_window_seconds) / 2
    return [of_whole(2 * stable - panic, at=after(long_ago)), of_whole(panic, at=after(at))]


def kpa_step(row: Row, step: Row, current: int, history: ScalingHistory) -> Evaluation:
    """Evaluate one step at its time."""
    rule, at = kpa_rule(row, step), step.get("t", 0)
    return evaluated(
        rule,
        current=current,
        samples=kpa_samples(rule, step, at),
        routes=healthy(step.get("ready", 1)),
        history=history,
        now=after(at),
        reachable={"reachable": True, **row, **step}["reachable"],
    )


@pytest.mark.parametrize("row", rows_of({"kpa_single", "kpa_activation_scale"}))
def test_two_windows_come_to_the_same_count_as_with_knative(row: Row) -> None:
    evaluation = kpa_step(row, row, row.get("ready", 1), CALM)

    assert outcome(evaluation).recommended == evaluation.desired == row["expected"]


@pytest.mark.parametrize("row", rows_of({"kpa_sequence"}))
def test_a_panic_begins_and_ends_as_with_knative(row: Row) -> None:
    current, history, counts = row["steps"][0].get("ready", 1), CALM, []
    for step in row["steps"]:
        evaluation = kpa_step(row, step, current, history)
        current, history = evaluation.desired, evaluation.history
        counts.append(current)

    assert counts == [step["expected"] for step in row["steps"]]


def ray_rule(row: Row) -> RequestDrivenRule:
    """The row's autoscaling config, without delays unless it says some."""
    return RequestDrivenRule(
        name="ray",
        source=MetricSource.KERNEL,
        metric="requests",
        target_ongoing_requests=row.get("target_ongoing_requests", 1),
        upscaling_factor=row.get("upscaling_factor", 1),
        downscaling_factor=row.get("downscaling_factor", 1),
        upscale_delay_seconds=row.get("upscale_delay_s", 0),
        downscale_delay_seconds=row.get("downscale_delay_s", 0),
        downscale_to_zero_delay_seconds=row.get("downscale_to_zero_delay_s"),
        multiple_of=row.get("gang_size", 1),
    )


def ray_counts(row: Row, times: Sequence[float], current: int, running: int | None = None) -> list[int]:
    """Evaluate at each of the times, each from where the one before has come to."""
    rule, history, counts = ray_rule(row), REMEMBERING, []
    wanted = row["desired_replicas"] if "desired_replicas" in row else row.get("raw_decision", 0)
    requests = row.get("total_requests", wanted * rule.target_ongoing_requests)
    for at in times:
        routes = healthy(current) if running is None else [route(n, RouteStatus.PROVISIONING) for n in range(current)]
        evaluation = evaluated(
            rule,
            current=current,
            samples=[of_whole(requests, metric="requests", at=after(at))],
            routes=routes,
            history=history,
            now=after(at),
            policy={"min_replicas": row.get("min", 0), "max_replicas": row.get("max", MAX_REPLICAS)},
        )
        current, history = evaluation.desired, evaluation.history
        counts.append(current)
    return counts


@pytest.mark.parametrize("row", rows_of({"ray_factor", "ray_requests", "ray_to_zero", "ray_cold_start"}))
def test_requests_come_to_the_same_count_as_with_ray(row: Row) -> None:
    assert ray_counts(row, [0], row["current_replicas"]) == [row["expected"]]


@pytest.mark.parametrize("row", rows_of({"ray_gang"}))
def test_gangs_are_kept_whole_as_with_ray(row: Row) -> None:
    assert ray_counts(row, [0], row["max"]) == [row["expected"]]


@pytest.mark.parametrize("row", rows_of({"ray_delay"}))
def test_a_need_has_to_last_as_long_as_with_ray(row: Row) -> None:
    assert ray_counts(row, row["call_times_s"], row["current_replicas"]) == row["expected_sequence"]


@pytest.mark.parametrize("row", rows_of({"ray_warmup"}))
def test_nothing_runs_away_while_replicas_start(row: Row) -> None:
    counts = ray_counts(row, [0.1 * tick for tick in range(row["ticks"])], row["current_target"], running=0)

    assert set(counts) == {row["expected"]}


@pytest.mark.parametrize("row", rows_of({"ray_to_zero_steps"}))
def test_zero_is_reached_in_as_many_steps_as_with_ray(row: Row) -> None:
    counts = ray_counts(row, range(row["expected_steps"]), row["current_replicas"])

    assert (counts[-1], counts.count(0)) == (0, 1)


def nomad_rule(target: float, threshold: float) -> TargetTrackingRule:
    """Nomad's target-value strategy: a value of the whole, held against a target."""
    return TargetTrackingRule(
        name="nomad",
        source=MetricSource.KERNEL,
        metric="load",
        target_type=TargetType.VALUE,
        target=target,
        scale_up_tolerance=threshold,
        scale_down_tolerance=threshold,
    )


def at_most(up: int | None, down: int | None) -> Behavior:
    """Limits of one evaluation's change, as policies of a short period."""
    limits = [
        ScalingRules(policies=(RatePolicy(unit=RateUnit.REPLICAS, value=limit or MAX_REPLICAS, period_seconds=1),))
        for limit in (up, down)
    ]
    return Behavior(scale_up=limits[0], scale_down=limits[1])


@pytest.mark.parametrize("row", rows_of({"nomad_target_value"}))
def test_a_target_value_comes_to_the_same_count_as_with_nomad(row: Row) -> None:
    series = row.get("metric_series") or [row["metric"]]

    evaluation = evaluated(
        nomad_rule(row["target"], row["threshold"]),
        current=row["count"],
        samples=[of_whole(value, at=after(at)) for at, value in enumerate(series, 1 - len(series))],
        policy={"behavior": at_most(row.get("max_scale_up"), row.get("max_scale_down"))},
    )

    assert evaluation.desired == (row["count"] if row["expected"] is None else row["expected"])


@pytest.mark.parametrize("row", rows_of({"nomad_direction"}))
def test_a_factor_points_where_it_does_with_nomad(row: Row) -> None:
    evaluation = evaluated(nomad_rule(1, row["threshold"]), current=row["count"], samples=[of_whole(row["factor"])])

    assert {1: "up", 0: None, -1: "down"}[outcome(evaluation).evidence] == row["expected"]


def test_the_safest_of_several_rules_wins_as_with_nomad() -> None:
    """Up before none before down, and among several the highest count (Nomad's policy of several checks)."""
    for wanted, expected in (((3, 5, 9), 9), ((3, 5), 5), ((3, 4), 4), ((7, 9), 9), ((5,), 5)):
        evaluation = evaluated(
            *(exactly(count, name=f"check-{count}") for count in wanted),
            current=5,
            samples=[asking_for(count) for count in wanted],
            policy={"combine": "safest", "behavior": at_most(None, None)},
        )

        assert evaluation.desired == expected
