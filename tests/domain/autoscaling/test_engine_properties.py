"""What holds of every evaluation, whatever the numbers."""

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.autoscaling.behavior import Behavior, RatePolicy, RateUnit, ScalingRules, SelectPolicy
from domain.autoscaling.engine import Evaluation
from domain.autoscaling.history import ScalingHistory
from domain.autoscaling.metric import MetricSource
from domain.autoscaling.rules import (
    Combine,
    Comparator,
    RequestDrivenRule,
    ScaleToZeroRule,
    ScalingRule,
    StepRule,
    TargetTrackingRule,
    TargetType,
    WindowWithPanicRule,
)
from domain.autoscaling.samples import MetricSample
from domain.routes import Route, RouteStatus
from tests.domain.autoscaling.worlds import (
    NOW,
    REMEMBERING,
    after,
    evaluated,
    of_routes,
    of_whole,
    outcome,
    remembering,
    route,
)

KERNEL = MetricSource.KERNEL
COUNTS = st.integers(min_value=0, max_value=60)
LOADS = st.floats(min_value=0, max_value=1e6) | st.sampled_from([0.0, 100.0, 90.0, 110.0, 1e308])
STATUSES = st.sampled_from([*RouteStatus])
WORLD = st.lists(st.tuples(STATUSES, st.none() | LOADS), max_size=12)

TRACKING = st.builds(
    TargetTrackingRule,
    name=st.just("tracking"),
    source=st.just(KERNEL),
    metric=st.just("load"),
    target=st.just(100.0),
    target_type=st.sampled_from(TargetType),
)
RULES = st.one_of(
    TRACKING,
    st.builds(
        StepRule,
        name=st.just("step"),
        source=st.just(KERNEL),
        metric=st.just("load"),
        comparator=st.sampled_from(Comparator),
        threshold=st.just(100.0),
        step=st.integers(min_value=-5, max_value=5).filter(bool),
        cooldown_seconds=st.just(0.0),
    ),
    st.just(WindowWithPanicRule(name="windows", source=KERNEL, metric="load", target=100)),
    st.builds(
        RequestDrivenRule,
        name=st.just("requests"),
        source=st.just(KERNEL),
        metric=st.just("load"),
        upscale_delay_seconds=st.sampled_from([0.0, 30.0]),
        upscaling_factor=st.sampled_from([0.5, 1.0, 3.0]),
        downscaling_factor=st.sampled_from([0.5, 1.0, 3.0]),
        downscale_delay_seconds=st.sampled_from([0.0, 30.0]),
    ),
)
ONE_DIRECTION = st.builds(
    ScalingRules,
    stabilization_window_seconds=st.sampled_from([0.0, 60.0, 300.0]),
    select=st.sampled_from(SelectPolicy),
    policies=st.lists(
        st.builds(
            RatePolicy,
            unit=st.sampled_from(RateUnit),
            value=st.integers(min_value=1, max_value=150),
            period_seconds=st.sampled_from([15.0, 60.0]),
        ),
        min_size=1,
        max_size=3,
    ).map(tuple),
)
BEHAVIORS = st.none() | st.builds(Behavior, scale_up=ONE_DIRECTION, scale_down=ONE_DIRECTION)
ENTRIES = st.lists(
    st.tuples(st.integers(min_value=0, max_value=400), st.integers(min_value=0, max_value=30)), max_size=6
)
HISTORIES = st.just(ScalingHistory()) | st.builds(remembering, ENTRIES, ENTRIES)


def routes_of(world: Sequence[tuple[RouteStatus, float | None]]) -> list[Route]:
    """One route for each status."""
    return [route(number, status) for number, (status, _) in enumerate(world)]


def samples_of(world: Sequence[tuple[RouteStatus, float | None]]) -> list[MetricSample]:
    """The routes' samples."""
    return of_routes([load for _, load in world])


@settings(max_examples=150)
@given(
    rules=st.lists(RULES, max_size=3, unique_by=lambda rule: rule.name),
    current=COUNTS,
    bounds=st.tuples(COUNTS, COUNTS),
    world=WORLD,
    behavior=BEHAVIORS,
    combine=st.sampled_from(Combine),
    history=HISTORIES,
)
def test_the_count_is_within_the_bounds_and_on_its_way_never_turned_around(
    rules: list[ScalingRule],
    current: int,
    bounds: tuple[int, int],
    world: list[tuple[RouteStatus, float | None]],
    behavior: Behavior | None,
    combine: Combine,
    history: ScalingHistory,
) -> None:
    least, most = sorted(bounds)
    policy = {"min_replicas": least, "max_replicas": most, "behavior": behavior, "combine": combine}

    evaluation = evaluated(
        *rules, current=current, samples=samples_of(world), routes=routes_of(world), history=history, policy=policy
    )

    assert least <= evaluation.desired <= most
    assert evaluation.due_at is None or evaluation.due_at > NOW
    changes = evaluation.desired - current
    combined = evaluation.reasoning.combined
    if least <= current <= most and combined is not None:
        assert changes * (combined - current) >= 0, "a change in the direction of the recommendation, or none"
        assert abs(changes) <= max(abs(combined - current), 0), "and no farther than it"


@settings(max_examples=150)
@given(rule=RULES, current=st.integers(min_value=1, max_value=60), world=WORLD)
def test_the_count_never_goes_against_what_the_metric_says(
    rule: ScalingRule, current: int, world: list[tuple[RouteStatus, float | None]]
) -> None:
    evaluation = evaluated(rule, current=current, samples=samples_of(world), routes=routes_of(world))

    assert (evaluation.desired - current) * outcome(evaluation).evidence >= 0


@settings(max_examples=100)
@given(rule=RULES, current=COUNTS, world=WORLD, history=HISTORIES)
def test_the_same_input_gives_the_same_evaluation(
    rule: ScalingRule, current: int, world: list[tuple[RouteStatus, float | None]], history: ScalingHistory
) -> None:
    def once() -> Evaluation:
        return evaluated(rule, current=current, samples=samples_of(world), routes=routes_of(world), history=history)

    assert once() == once()


@settings(max_examples=100)
@given(rule=TRACKING, current=st.integers(min_value=1, max_value=60), world=WORLD, history=HISTORIES)
def test_evaluating_again_at_once_changes_nothing_more(
    rule: ScalingRule, current: int, world: list[tuple[RouteStatus, float | None]], history: ScalingHistory
) -> None:
    """What one evaluation remembers never makes the next come to another count from the same start."""
    first = evaluated(rule, current=current, samples=samples_of(world), routes=routes_of(world), history=history)
    again = evaluated(
        rule,
        current=current,
        samples=samples_of(world),
        routes=routes_of(world),
        history=first.history._replace(changes=history.changes),
    )

    assert (again.desired, again.reason) == (first.desired, first.reason)
    assert again.history.highs == first.history.highs


@settings(max_examples=150)
@given(
    rule=TRACKING,
    current=st.integers(min_value=1, max_value=40),
    loads=st.lists(st.floats(min_value=0, max_value=1e5), min_size=1, max_size=10),
    factor=st.floats(min_value=1, max_value=50),
)
def test_target_tracking_is_monotone_in_its_metric(
    rule: TargetTrackingRule, current: int, loads: list[float], factor: float
) -> None:
    def count(scale: float) -> int:
        return evaluated(rule, current=current, samples=of_routes([load * scale for load in loads])).desired

    assert count(1.0) <= count(factor)


@settings(max_examples=100)
@given(
    current=st.integers(min_value=1, max_value=200),
    noise=st.lists(st.floats(min_value=-0.0999, max_value=0.0999), min_size=1, max_size=40),
)
def test_nothing_flaps_while_the_metric_stays_around_its_target(current: int, noise: list[float]) -> None:
    rule = TargetTrackingRule(name="t", source=KERNEL, metric="load", target=100, target_type=TargetType.TOTAL_AVERAGE)
    history, counts = REMEMBERING, []
    for second, off in enumerate(noise):
        sample = of_whole(100 * current * (1 + off), at=after(second))
        evaluation = evaluated(rule, current=current, samples=[sample], history=history, now=after(second))
        history = evaluation.history
        counts.append(evaluation.desired)

    assert set(counts) == {current}


@settings(max_examples=50)
@given(total=st.floats(min_value=1, max_value=5000), current=st.integers(min_value=1, max_value=60))
def test_a_steady_load_is_answered_once(total: float, current: int) -> None:
    """From wherever it starts the count comes to rest, and stays where it came to."""
    rule = TargetTrackingRule(name="t", source=KERNEL, metric="load", target=100, target_type=TargetType.TOTAL_AVERAGE)
    history, counts = REMEMBERING, [current]
    for turn in range(40):
        now = after(turn * 60)
        evaluation = evaluated(rule, current=counts[-1], samples=[of_whole(total, at=now)], history=history, now=now)
        history = evaluation.history
        counts.append(evaluation.desired)

    assert len(set(counts[-20:])) == 1
    directions = {later > earlier for earlier, later in pairwise(counts) if later != earlier}
    assert len(directions) <= 1


@given(current=st.integers(min_value=1, max_value=20), load=LOADS)
def test_scale_to_zero_alone_decides_about_the_last_replica(current: int, load: float) -> None:
    zero = ScaleToZeroRule(name="zero", source=KERNEL, metric="load")
    eager = StepRule(
        name="step", source=KERNEL, metric="load", comparator=Comparator.GREATER_THAN_OR_EQUAL, threshold=0, step=-99
    )

    evaluation = evaluated(zero, eager, current=current, samples=of_routes([load] * current))

    assert evaluation.desired >= 1
