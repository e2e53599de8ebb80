"""What is remembered is bounded, and what is kept of it brings the same decisions after a restart."""

from datetime import datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.autoscaling.behavior import change_within
from domain.autoscaling.engine import ScalingInput, evaluate
from domain.autoscaling.history import MAX_ENTRIES, ScalingHistory
from domain.autoscaling.metric import MetricSource
from domain.autoscaling.record import EvaluationRecord, record_of, restored
from domain.autoscaling.rules import RequestDrivenRule, ScaleToZeroRule, ScalingPolicy, WindowWithPanicRule
from tests.domain.autoscaling.worlds import (
    NOW,
    REMEMBERING,
    after,
    asking_for,
    evaluated,
    exactly,
    healthy,
    of_whole,
    windows,
)

RECOMMENDATIONS = st.lists(
    st.tuples(st.floats(min_value=0, max_value=400), st.integers(min_value=0, max_value=20)), min_size=1, max_size=40
)
WINDOW = st.floats(min_value=1, max_value=600)


def remembered(entries: list[tuple[float, int]]) -> tuple[ScalingHistory, list[tuple[datetime, int]]]:
    """A history of recommendations, and the same as a plain list."""
    moments = [(after(-age), replicas) for age, replicas in sorted(entries, reverse=True)]
    history = ScalingHistory()
    for at, replicas in moments:
        history = history.recommended(replicas, at)
    return history, moments


@given(entries=RECOMMENDATIONS, window=WINDOW)
def test_the_highest_and_the_lowest_of_any_window_are_those_of_all_recommendations(
    entries: list[tuple[float, int]], window: float
) -> None:
    history, moments = remembered(entries)

    within = [replicas for at, replicas in moments if at > after(-window)]
    highest, lowest = history.highest(NOW, window), history.lowest(NOW, window)

    assert (highest and highest.replicas) == max(within, default=None)
    assert (lowest and lowest.replicas) == min(within, default=None)


def test_a_history_stays_small_however_much_happens() -> None:
    history = ScalingHistory()
    for second in range(3000):
        history = history.recommended(5000 - second, after(second)).changed(1, after(second))

    assert len(history.highs) <= MAX_ENTRIES
    assert len(history.lows) == 1
    assert len(history.changes) <= MAX_ENTRIES


def test_what_is_forgotten_for_want_of_room_only_holds_longer() -> None:
    history = ScalingHistory()
    for second in range(2 * MAX_ENTRIES):
        history = history.recommended(10_000 - second, after(second))

    highest = history.highest(after(2 * MAX_ENTRIES), 3600)

    assert highest is not None
    assert highest.replicas == 10_000


def test_a_clock_that_was_set_back_does_not_hold_for_as_long_as_it_was_wrong() -> None:
    history = ScalingHistory().recommended(9, after(100)).recommended(3, after(0))

    assert [entry.replicas for entry in history.highs] == [3]


def test_changes_from_a_future_that_a_clock_took_back_do_not_limit_the_present() -> None:
    history = REMEMBERING.changed(5, after(3600))

    assert change_within(history.changes, NOW, 60) == 0
    assert change_within(history.changes, after(3601), 60) == 5


POLICY = ScalingPolicy(
    rules=(
        exactly(4),
        RequestDrivenRule(name="requests", source=MetricSource.KERNEL, metric="load", upscale_delay_seconds=20),
        WindowWithPanicRule(
            name="windows", source=MetricSource.KERNEL, metric="load", target=20, scale_down_delay_seconds=30
        ),
        ScaleToZeroRule(name="zero", source=MetricSource.KERNEL, metric="load", cooldown_seconds=100),
    ),
    max_replicas=12,
)
LOADS = st.lists(
    st.tuples(st.sampled_from([1, 5, 40, 500]), st.sampled_from([0.0, 1.0, 20.0, 90.0, 400.0])), min_size=2, max_size=25
)


@settings(max_examples=60)
@given(loads=LOADS, restart=st.integers(min_value=0, max_value=24))
def test_a_restart_in_the_middle_of_windows_decides_as_if_there_had_been_none(
    loads: list[tuple[int, float]], restart: int
) -> None:
    records: list[EvaluationRecord] = []
    history, seconds, current = ScalingHistory(), 0.0, 3
    for number, (pause, load) in enumerate(loads):
        seconds += pause
        now = after(seconds)
        if number == restart:
            history_before, history = history, restored(records, POLICY.memory_seconds)
            assert history == history_before
        samples = windows([of_whole(load, at=now), asking_for(4, now)], now)
        given_input = ScalingInput(current=current, routes=healthy(current), samples=samples, history=history)
        evaluation = evaluate(POLICY, given_input, now)
        record = record_of(evaluation, history, number)
        assert record is not None
        records.append(record)
        history, current = evaluation.history, evaluation.desired


def test_what_did_not_change_is_not_written_again() -> None:
    zero = ScaleToZeroRule(name="zero", source=MetricSource.KERNEL, metric="load")
    first = evaluated(zero, current=1, samples=[of_whole(0)], history=ScalingHistory())
    second = evaluated(zero, current=1, samples=[of_whole(0, at=after(5))], history=first.history, now=after(5))

    written = [record_of(first, ScalingHistory(), 1), record_of(second, first.history, 2)]

    assert [record and record.memories for record in written] == [
        '{"zero":{"kind":"activity","active_at":"2026-03-02T12:00:00Z"}}',
        None,
    ]


def test_an_evaluation_that_asked_no_rule_leaves_no_record() -> None:
    for evaluation in (evaluated(current=2, override=4), evaluated(current=0, stopped=True)):
        assert record_of(evaluation, ScalingHistory(), 1) is None
