"""What the kinds that bring their own pace do between one evaluation and the next."""

import pytest
from pydantic import ValidationError

from domain.autoscaling.decision import DecisionReason
from domain.autoscaling.engine import Evaluation
from domain.autoscaling.explain import explain
from domain.autoscaling.history import PanicMemory, ScalingHistory
from domain.autoscaling.metric import MetricSource
from domain.autoscaling.outcome import Finding, Verdict
from domain.autoscaling.rules import RequestDrivenRule, WindowWithPanicRule
from domain.routes import RouteStatus
from tests.domain.autoscaling.worlds import NOW, REMEMBERING, after, evaluated, of_whole, outcome, route

REQUESTS = RequestDrivenRule(name="requests", source=MetricSource.KERNEL, metric="load", target_ongoing_requests=10)
WINDOWS = WindowWithPanicRule(
    name="windows", source=MetricSource.KERNEL, metric="load", target=10, target_utilization_percentage=100
)


def asked(load: float, current: int, history: ScalingHistory, seconds: float = 0) -> Evaluation:
    """Evaluate the request-driven rule after some seconds."""
    sample = of_whole(load, at=after(seconds))
    return evaluated(REQUESTS, current=current, samples=[sample], history=history, now=after(seconds))


def test_more_requests_have_to_last_for_the_delay_and_no_longer() -> None:
    first = asked(50, 2, REMEMBERING)
    assert (first.desired, outcome(first).finding, first.due_at) == (2, Finding.WAITING, after(30))

    assert asked(50, 2, first.history, 29.9).desired == 2
    assert asked(70, 2, first.history, 30).desired == 7


def test_a_turn_of_demand_begins_the_wait_anew() -> None:
    up = asked(50, 2, REMEMBERING)
    calm = asked(20, 2, up.history, 20)
    again = asked(50, 2, calm.history, 25)

    assert asked(50, 2, again.history, 54).desired == 2
    assert asked(50, 2, again.history, 55).desired == 5


def test_a_need_in_the_other_direction_has_a_wait_of_its_own() -> None:
    up = asked(50, 2, REMEMBERING)
    rule = REQUESTS.model_copy(update={"downscale_delay_seconds": 20.0})

    down = evaluated(rule, current=2, samples=[of_whole(5, at=after(25))], history=up.history, now=after(25))

    assert (down.desired, down.due_at) == (2, after(45))


def test_after_a_change_the_wait_begins_anew() -> None:
    first = asked(50, 2, REMEMBERING)
    changed = asked(50, 2, first.history, 30)

    assert asked(90, changed.desired, changed.history, 31).desired == 5


def test_fewer_requests_have_to_last_much_longer() -> None:
    history = asked(10, 5, REMEMBERING).history

    assert asked(10, 5, history, 599).desired == 5
    assert asked(10, 5, history, 600).desired == 1


def test_the_last_replica_goes_in_a_step_of_its_own() -> None:
    rule = REQUESTS.model_copy(update={"downscale_delay_seconds": 0.0, "downscale_to_zero_delay_seconds": 60.0})

    def step(current: int, seconds: float, history: ScalingHistory) -> Evaluation:
        sample = of_whole(0, at=after(seconds))
        return evaluated(rule, current=current, samples=[sample], history=history, now=after(seconds))

    to_one = step(5, 0, REMEMBERING)
    waits = step(1, 1, to_one.history)

    assert (to_one.desired, waits.desired, step(1, 61, waits.history).desired) == (1, 1, 0)


def test_a_first_request_starts_replicas_at_once() -> None:
    rule = REQUESTS.model_copy(update={"upscaling_factor": 2.5})

    evaluation = evaluated(rule, current=0, samples=[of_whole(1)])

    assert (evaluation.desired, outcome(evaluation).finding) == (3, Finding.COLD_START)


def test_gangs_stay_whole_within_the_bounds() -> None:
    rule = REQUESTS.model_copy(update={"multiple_of": 4, "upscale_delay_seconds": 0.0})

    for most, expected in ((100, 12), (10, 8)):
        evaluation = evaluated(rule, current=4, samples=[of_whole(90)], policy={"max_replicas": most})
        assert evaluation.desired == expected


def test_requests_are_averaged_over_the_look_back() -> None:
    rule = REQUESTS.model_copy(update={"upscale_delay_seconds": 0.0})
    samples = [of_whole(100, at=after(-40)), of_whole(60, at=after(-20)), of_whole(20)]

    assert evaluated(rule, current=2, samples=samples).desired == 4


def windowed(
    load: float, current: int, history: ScalingHistory, seconds: float = 0, ready: int | None = None
) -> Evaluation:
    """Evaluate the window rule with one load over both windows."""
    samples = [of_whole(load, at=after(seconds - 30)), of_whole(load, at=after(seconds))]
    routes = None if ready is None else [route(number) for number in range(ready)]
    return evaluated(WINDOWS, current=current, samples=samples, routes=routes, history=history, now=after(seconds))


def test_after_a_restart_it_starts_in_a_panic_so_that_nothing_is_removed() -> None:
    first = windowed(10, 5, ScalingHistory())

    assert (first.desired, outcome(first).finding) == (5, Finding.PANIC_PEAK)
    assert windowed(10, 5, first.history, 59).desired == 5
    assert windowed(10, 5, first.history, 60).desired == 2


def test_a_panic_is_over_a_stable_window_after_its_last_surge() -> None:
    calm = ScalingHistory(evaluated_at=NOW, memories={"windows": PanicMemory()})
    surge = windowed(100, 5, calm)

    assert (surge.desired, outcome(surge).finding) == (10, Finding.PANIC)
    assert surge.history.memories["windows"] == PanicMemory(since=NOW, peak=10)
    again = windowed(200, 10, surge.history, 30)
    assert windowed(10, 20, again.history, 89).desired == 20
    assert windowed(10, 20, again.history, 90).desired == 10


def test_in_a_panic_the_value_that_decided_is_told_and_whether_it_was_only_the_peak() -> None:
    panicking = ScalingHistory(evaluated_at=NOW, memories={"windows": PanicMemory(since=NOW, peak=6)})

    falling = windowed(20, 6, panicking)

    assert (falling.desired, outcome(falling).finding) == (6, Finding.PANIC_PEAK)
    assert "kept at the panic's peak 6" in explain(falling.decision())


def test_where_no_traffic_can_come_nothing_slows_removing_down() -> None:
    calm = ScalingHistory(evaluated_at=NOW, memories={"windows": PanicMemory()})

    counts = [
        evaluated(WINDOWS, current=9, samples=[of_whole(0)], history=calm, reachable=reachable).desired
        for reachable in (True, False)
    ]

    assert counts == [4, 0]


def test_without_samples_in_the_window_it_cannot_tell() -> None:
    old = [of_whole(100, at=after(-61))]

    evaluation = evaluated(WINDOWS, current=5, samples=old)

    assert (evaluation.reason, outcome(evaluation).verdict) == (DecisionReason.NO_METRICS, Verdict.INVALID)


def test_a_delayed_removal_follows_when_fewer_have_been_enough_for_the_delay() -> None:
    rule = WINDOWS.model_copy(update={"scale_down_delay_seconds": 120.0})
    history = ScalingHistory(evaluated_at=NOW, memories={"windows": PanicMemory()})

    def step(load: float, current: int, seconds: float, before: ScalingHistory) -> Evaluation:
        sample = of_whole(load, at=after(seconds))
        return evaluated(rule, current=current, samples=[sample], history=before, now=after(seconds))

    busy = step(40, 4, 0, history)
    idle = step(20, 4, 10, busy.history)
    assert (idle.desired, outcome(idle).finding) == (4, Finding.DELAYED)
    later = step(20, 4, 119, idle.history)
    assert (later.desired, later.due_at) == (4, after(120))
    assert step(20, 4, 120, later.history).desired == 2


def test_a_rate_counted_from_few_ready_replicas_does_not_remove_under_load() -> None:
    calm = ScalingHistory(evaluated_at=NOW, memories={"windows": PanicMemory()})
    rule = WINDOWS.model_copy(update={"max_scale_up_rate": 2.0})
    routes = [route(0), *(route(number, RouteStatus.PROVISIONING) for number in range(1, 4))]

    evaluation = evaluated(rule, current=4, samples=[of_whole(500)], routes=routes, history=calm)

    assert (outcome(evaluation).recommended, outcome(evaluation).finding) == (2, Finding.CONTRADICTION)
    assert evaluation.desired == 4


def test_samples_must_live_as_long_as_the_panic_window() -> None:
    with pytest.raises(ValidationError, match=r"max_sample_age_seconds 5\.0 .* panic window of 6\.0 s"):
        WindowWithPanicRule.model_validate({**WINDOWS.model_dump(), "max_sample_age_seconds": 5})
