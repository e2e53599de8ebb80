from collections.abc import Sequence
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from domain.autoscaling.metric import MetricSource
from domain.autoscaling.samples import MetricSample
from domain.autoscaling.window import MAX_CLOCK_SKEW, SampleWindow, SampleWindows, WindowLimits
from tests.domain.autoscaling.worlds import NOW, after, of_routes, of_whole, route_id

T = NOW.timestamp()
LIMITS = WindowLimits(seconds=60, samples=10)


def filled(*samples: tuple[float, float], limits: WindowLimits = LIMITS) -> SampleWindow:
    """A window of samples, each as its age in seconds and its value."""
    window = SampleWindow()
    for age, value in samples:
        window = window.added(T - age, value, limits)
    return window


AGES = st.lists(st.tuples(st.integers(min_value=0, max_value=120), st.integers(min_value=-5, max_value=5)), max_size=30)


@given(samples=AGES, seed=st.randoms(use_true_random=False))
def test_samples_make_the_same_window_in_any_order_and_however_often(
    samples: list[tuple[int, int]], seed: Random
) -> None:
    shuffled = [*samples, *samples[::2]]
    seed.shuffle(shuffled)

    assert filled(*shuffled) == filled(*samples)


@given(samples=AGES)
def test_a_window_never_holds_more_than_its_limits(samples: list[tuple[int, int]]) -> None:
    window = filled(*samples, limits=WindowLimits(seconds=30, samples=4))

    assert len(window.times) == len(window.values) <= 4
    assert not window.times or window.times[-1] - window.times[0] <= 30
    assert list(window.times) == sorted(set(window.times))


def test_a_late_sample_finds_its_place() -> None:
    window = filled((10, 1.0), (30, 3.0), (20, 2.0))

    assert window.values == (3.0, 2.0, 1.0)
    assert window.newest(T, 300) == (T - 10, 1.0)


def test_of_two_samples_that_disagree_about_one_moment_the_greater_counts() -> None:
    assert filled((10, 1.0), (10, 2.0)) == filled((10, 2.0), (10, 1.0)) == SampleWindow((T - 10,), (2.0,))


def test_a_sample_is_none_once_it_has_reached_its_maximum_age() -> None:
    window = filled((0, 7.0))

    assert window.newest(T + 299.9, 300) == (T, 7.0)
    assert window.newest(T + 300, 300) is None


def test_a_sample_a_little_ahead_of_the_clock_counts_and_one_far_ahead_does_not() -> None:
    window = filled((0, 1.0), (-MAX_CLOCK_SKEW, 2.0), (-MAX_CLOCK_SKEW - 1, 3.0), limits=WindowLimits(seconds=600))

    assert window.newest(T, 300) == (T + MAX_CLOCK_SKEW, 2.0)


def test_a_sample_from_far_ahead_does_not_displace_the_others() -> None:
    samples = [of_whole(1.0), of_whole(2.0, at=after(86_400))]

    kept = SampleWindows().added(samples, NOW, default=LIMITS).of(MetricSource.KERNEL, "load")[None]

    assert kept.values == (1.0,)


def test_the_mean_is_that_of_the_samples_younger_than_the_window() -> None:
    window = filled((30, 90.0), (20, 2.0), (10, 4.0))

    mean = window.mean(T, 30)

    assert mean is not None
    assert (mean.value, mean.samples, mean.oldest, mean.newest) == (3.0, 2, T - 20, T - 10)
    assert window.mean(T + 60, 30) is None


def test_the_largest_numbers_have_a_mean_too() -> None:
    mean = filled((20, 1.7e308), (10, 1.7e308)).mean(T, 30)

    assert mean is not None
    assert mean.value == 1.7e308


def test_adding_samples_leaves_the_windows_that_were_there_as_they_were() -> None:
    before = SampleWindows().added(of_routes([1.0, 2.0]), NOW)

    later = before.added(of_routes([5.0], at=after(1)), after(1))

    assert [w.values for w in before.of(MetricSource.KERNEL, "load").values()] == [(1.0,), (2.0,)]
    assert [w.values for w in later.of(MetricSource.KERNEL, "load").values()] == [(1.0, 5.0), (2.0,)]


def test_each_metric_is_kept_by_its_own_limits() -> None:
    def series(metric: str) -> Sequence[MetricSample]:
        return [of_whole(float(age), metric=metric, at=after(-age)) for age in range(5)]

    limits = {(MetricSource.KERNEL, "short"): WindowLimits(seconds=1)}

    kept = SampleWindows().added([*series("short"), *series("long")], NOW, limits)

    assert kept.of(MetricSource.KERNEL, "short")[None].values == (1.0, 0.0)
    assert len(kept.of(MetricSource.KERNEL, "long")[None].values) == 5


def test_routes_that_are_gone_take_their_windows_with_them() -> None:
    windows = SampleWindows().added([*of_routes([1.0, 2.0]), of_whole(3.0)], NOW)

    assert windows.kept([route_id(1)]).of(MetricSource.KERNEL, "load").keys() == {None, route_id(1).int}
