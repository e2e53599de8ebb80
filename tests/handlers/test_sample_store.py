"""The newest samples in memory."""

from datetime import timedelta
from uuid import UUID

from domain.autoscaling.rules import MetricSource
from domain.autoscaling.samples import MetricSample, MetricsReport
from handlers.samples import SampleStore, SampleStoreLimits
from tests.executor_doubles import NOW

A, B, C = (UUID(int=number) for number in (1, 2, 3))


def report(deployment_id: UUID, *samples: tuple[str, float, float]) -> MetricsReport:
    """Samples as (metric, value, seconds after a moment)."""
    return MetricsReport(
        deployment_id=deployment_id,
        samples=tuple(
            MetricSample(
                source=MetricSource.KERNEL, metric=metric, value=value, at=NOW + timedelta(seconds=at), route_id=A
            )
            for metric, value, at in samples
        ),
    )


def values(store: SampleStore, deployment_id: UUID) -> dict[str, float]:
    return {sample.metric: sample.value for sample in store.of(deployment_id, NOW)}


def test_the_newest_sample_of_each_series_is_kept() -> None:
    store = SampleStore()

    assert store.add(report(A, ("cpu", 1, 0), ("gpu", 2, 0)))
    assert store.add(report(A, ("cpu", 3, 1)))

    assert values(store, A) == {"cpu": 3, "gpu": 2}
    assert values(store, B) == {}


def test_samples_that_come_late_or_twice_are_no_news() -> None:
    store = SampleStore()
    store.add(report(A, ("cpu", 1, 5)))

    assert not store.add(report(A, ("cpu", 9, 4)))
    assert not store.add(report(A, ("cpu", 9, 5)))
    assert values(store, A) == {"cpu": 1}


def test_the_series_that_was_not_heard_of_for_longest_goes_first() -> None:
    store = SampleStore(SampleStoreLimits(series=2))
    store.add(report(A, ("one", 1, 0), ("two", 2, 0)))
    store.add(report(A, ("one", 3, 1)))
    store.add(report(A, ("three", 4, 1)))

    assert values(store, A) == {"one": 3, "three": 4}


def test_the_deployment_that_was_not_heard_of_for_longest_goes_first() -> None:
    store = SampleStore(SampleStoreLimits(deployments=2))
    for seconds, key in enumerate((A, B, A, C)):
        store.add(report(key, ("cpu", 1, seconds)))

    assert [bool(store.of(key, NOW)) for key in (A, B, C)] == [True, False, True]


def test_a_deployment_that_is_gone_is_forgotten() -> None:
    store = SampleStore()
    store.add(report(A, ("cpu", 1, 0)))

    store.forget(A)
    store.forget(A)

    assert store.of(A, NOW) == []


def test_a_sample_that_is_too_old_says_nothing_any_more() -> None:
    store = SampleStore(SampleStoreLimits(max_age_seconds=60))
    store.add(report(A, ("old", 1, 0), ("new", 2, 30)))

    assert [sample.metric for sample in store.of(A, NOW + timedelta(seconds=61))] == ["new"]
    assert store.of(A, NOW + timedelta(seconds=91)) == []
