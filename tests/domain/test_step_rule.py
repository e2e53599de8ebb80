from collections.abc import Sequence
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.autoscaling.decision import RuleEvaluation
from domain.autoscaling.engine import ScalingInput, evaluate
from domain.autoscaling.rules import Comparator, MetricSource, ScalingPolicy, StepRule
from domain.autoscaling.samples import MetricSample
from domain.autoscaling.window import SampleWindows
from tests.domain.histories import BUSY, healthy, route_id
from tests.domain.scenario import NOW, after

ACTIVE = frozenset({route_id(1), route_id(2)})

QUEUE = BUSY.model_copy(update={"source": MetricSource.INFERENCE_FRAMEWORK, "metric": "queued", "threshold": 10.0})


def kernel(value: float, route: int, at: datetime = NOW, metric: str = "gpu_util") -> MetricSample:
    return MetricSample(source=MetricSource.KERNEL, metric=metric, value=value, at=at, route_id=route_id(route))


def whole(value: float, at: datetime = NOW) -> MetricSample:
    return MetricSample(source=MetricSource.INFERENCE_FRAMEWORK, metric="queued", value=value, at=at)


def hold(
    rule: StepRule,
    *samples: MetricSample,
    current: int = 2,
    fired_at: datetime | None = None,
    active: Sequence[int] = (1, 2),
) -> RuleEvaluation | None:
    given = ScalingInput(
        current=current,
        routes=[healthy(number) for number in active],
        samples=SampleWindows().added(samples, NOW),
        rules_fired_at={rule.name: fired_at} if fired_at is not None else {},
    )
    return evaluate(ScalingPolicy(rules=(rule,)), given, NOW).decision().evaluation


def proposed(evaluation: RuleEvaluation | None) -> int | None:
    return None if evaluation is None else evaluation.proposed


@pytest.mark.parametrize(
    ("comparator", "below", "equal", "above"),
    [
        (Comparator.LESS_THAN, True, False, False),
        (Comparator.LESS_THAN_OR_EQUAL, True, True, False),
        (Comparator.GREATER_THAN, False, False, True),
        (Comparator.GREATER_THAN_OR_EQUAL, False, True, True),
    ],
)
def test_a_rule_fires_where_its_comparator_holds(
    comparator: Comparator, *, below: bool, equal: bool, above: bool
) -> None:
    rule = BUSY.model_copy(update={"comparator": comparator})

    fires = [hold(rule, kernel(value, 1)) is not None for value in (79.9, 80.0, 80.1)]

    assert fires == [below, equal, above]


def test_an_evaluation_holds_the_whole_arithmetic() -> None:
    assert hold(BUSY, kernel(90, 1, at=after(-9)), kernel(81, 2, at=after(-3))) == RuleEvaluation(
        rule="busy",
        source=MetricSource.KERNEL,
        metric_name="gpu_util",
        metric=85.5,
        samples=2,
        watermark=after(-3),
        comparator=Comparator.GREATER_THAN,
        threshold=80.0,
        unclamped=3,
        proposed=3,
    )


def test_route_samples_count_as_the_mean_over_the_active_routes() -> None:
    assert hold(BUSY, kernel(100, 1), kernel(62, 2)) is not None
    assert hold(BUSY, kernel(100, 1), kernel(60, 2)) is None
    assert hold(BUSY, kernel(100, 1), kernel(0, 9)) is not None


def test_a_route_that_reported_more_often_counts_once_with_its_newest_sample() -> None:
    evaluation = hold(BUSY, kernel(100, 1, at=after(-1)), kernel(0, 1, at=after(-2)), kernel(70, 2))

    assert evaluation is not None
    assert (evaluation.metric, evaluation.samples) == (85.0, 2)


def test_a_route_without_a_sample_is_left_out_of_the_mean() -> None:
    evaluation = hold(BUSY, kernel(90, 1))

    assert evaluation is not None
    assert (evaluation.metric, evaluation.samples) == (90.0, 1)


@pytest.mark.parametrize(
    "samples",
    [(), (kernel(99, 9),), (kernel(99, 1, metric="cpu_util"),), (whole(99),)],
    ids=["none", "of a route that is gone", "of another metric", "of another source"],
)
def test_without_samples_of_its_own_a_rule_does_not_fire(samples: tuple[MetricSample, ...]) -> None:
    assert hold(BUSY, *samples) is None


def test_the_newest_sample_of_the_whole_is_divided_by_the_active_routes() -> None:
    evaluation = hold(QUEUE, whole(1000, at=after(-2)), whole(22, at=after(-1)), whole(3, at=after(-3)))

    assert evaluation is not None
    assert (evaluation.metric, evaluation.samples, evaluation.watermark) == (11.0, 1, after(-1))


def test_a_sample_of_the_whole_stands_as_it_is_while_no_route_is_active() -> None:
    evaluation = hold(QUEUE, whole(11), active=())

    assert evaluation is not None
    assert evaluation.metric == 11.0


def test_the_largest_numbers_have_a_mean_too() -> None:
    huge = 1.7e308

    evaluation = hold(BUSY, kernel(huge, 1), kernel(huge, 2))

    assert evaluation is not None
    assert evaluation.metric == huge


@pytest.mark.parametrize(("seconds_ago", "fires"), [(299.9, False), (300, True), (301, True)])
def test_a_rule_rests_for_its_cooldown_after_its_last_decision(seconds_ago: float, *, fires: bool) -> None:
    assert (hold(BUSY, kernel(99, 1), fired_at=after(-seconds_ago)) is not None) is fires


def test_a_clock_that_was_set_back_does_not_prolong_a_cooldown_by_as_much() -> None:
    assert hold(BUSY, kernel(99, 1), fired_at=after(3600)) is not None
    assert hold(BUSY, kernel(99, 1), fired_at=after(0.05)) is None


@pytest.mark.parametrize(
    ("step", "current", "expected"),
    [
        pytest.param(3, 4, 7, id="inside"),
        pytest.param(3, 8, 10, id="cut to the max"),
        pytest.param(-3, 8, 5, id="down, inside"),
        pytest.param(-3, 4, 2, id="cut to the min"),
        pytest.param(3, 10, None, id="at the max"),
        pytest.param(-3, 2, None, id="at the min"),
        pytest.param(3, 12, None, id="up, but above the max already"),
        pytest.param(-3, 1, None, id="down, but below the min already"),
        pytest.param(-3, 12, 9, id="down from above the max"),
        pytest.param(-1, 12, 10, id="down from far above the max, to the max"),
        pytest.param(3, 0, 3, id="up from below the min"),
        pytest.param(1, 0, 2, id="up from far below the min, to the min"),
    ],
)
def test_a_step_past_the_bounds_is_cut_to_them_and_never_turned_around(
    step: int, current: int, expected: int | None
) -> None:
    rule = BUSY.model_copy(update={"step": step, "min_replicas": 2, "max_replicas": 10})

    assert proposed(hold(rule, kernel(99, 1), current=current)) == expected


COUNTS = st.integers(min_value=0, max_value=100_000)


@settings(max_examples=200)
@given(
    step=st.integers(min_value=-100_000, max_value=100_000).filter(bool),
    current=COUNTS,
    bounds=st.tuples(COUNTS, COUNTS),
)
def test_whatever_the_numbers_a_rule_moves_its_own_way_within_its_bounds_or_not_at_all(
    step: int, current: int, bounds: tuple[int, int]
) -> None:
    low, high = sorted(bounds)
    rule = BUSY.model_copy(update={"step": step, "min_replicas": low, "max_replicas": high})

    count = proposed(hold(rule, kernel(99, 1), current=current))

    if count is not None:
        assert low <= count <= high
        assert (count - current) * step > 0
    else:
        assert current >= high if step > 0 else current <= low


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"step": 0}, "would never change anything"), ({"min_replicas": 3, "max_replicas": 2}, "above max_replicas 2")],
)
def test_a_rule_that_makes_no_sense_is_refused(wrong: dict[str, int], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        StepRule.model_validate({**BUSY.model_dump(), **wrong})
