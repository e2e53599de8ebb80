"""Samples as rules want them: for each series a bounded window that no late or repeated sample can upset."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from math import isinf
from types import MappingProxyType
from typing import Final, NamedTuple, Self
from uuid import UUID

from domain.autoscaling.metric import MetricSource
from domain.autoscaling.samples import MetricSample

#: A metric of one source; its series are told apart by route.
MetricKey = tuple[MetricSource, str]

#: A route's id as a number, whose hash is not computed by Python code; ``None`` for the deployment as a whole.
SeriesKey = int | None

#: How far ahead of the reader's clock a sample's time may be (seconds); what is further ahead does not count.
MAX_CLOCK_SKEW: Final = 60.0

_NONE: Final[Mapping[SeriesKey, "SampleWindow"]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowLimits:
    """What a window keeps: samples at most ``seconds`` older than its newest, and at most so many (count)."""

    seconds: float = 60.0
    samples: int = 128


class SampleMean(NamedTuple):
    """A mean of ``samples`` of them; times in seconds since 1970."""

    value: float
    samples: int
    oldest: float
    newest: float


class SampleWindow(NamedTuple):
    """The newest samples of one series, oldest first; times in seconds since 1970.

    The same samples make the same window in whatever order and however often they come. Of two that disagree about
    one moment the greater counts.
    """

    times: tuple[float, ...] = ()
    values: tuple[float, ...] = ()

    def added(self, at: float, value: float, limits: WindowLimits) -> "SampleWindow":
        """Give the window with one more sample."""
        times, values = self
        if times and at <= times[-1]:
            index = bisect_left(times, at)
            if times[index] == at:
                if value <= values[index]:
                    return self
                return SampleWindow(times, (*values[:index], value, *values[index + 1 :]))
            times = (*times[:index], at, *times[index:])
            values = (*values[:index], value, *values[index:])
        else:
            times, values = (*times, at), (*values, value)
        first = max(len(times) - limits.samples, bisect_left(times, times[-1] - limits.seconds))
        return SampleWindow(times[first:], values[first:]) if first else SampleWindow(times, values)

    def newest(self, now: float, max_age: float) -> tuple[float, float] | None:
        """The time and value of the newest sample that counts at ``now``: not stale, and not from the future."""
        times, values = self
        if times and now - max_age < times[-1] <= now + MAX_CLOCK_SKEW:
            return times[-1], values[-1]
        index = self._last_at(now)
        return (times[index], values[index]) if index >= 0 and times[index] > now - max_age else None

    def _last_at(self, now: float) -> int:
        return bisect_right(self.times, now + MAX_CLOCK_SKEW) - 1

    def mean(self, now: float, seconds: float) -> SampleMean | None:
        """The mean of the samples of the last ``seconds`` (exclusive), if there are any."""
        first, last = bisect_right(self.times, now - seconds), self._last_at(now) + 1
        if first >= last:
            return None
        values = self.values[first:last]
        return SampleMean(mean(values), len(values), self.times[first], self.times[last - 1])


def mean(values: Iterable[float]) -> float:
    """The arithmetic mean, also where the sum is beyond the largest number."""
    known = tuple(values)
    total = sum(known)
    return sum(value / len(known) for value in known) if isinf(total) else total / len(known)


@dataclass(frozen=True, slots=True)
class SampleWindows:
    """The windows of all series of one deployment.

    ``received_until``: they hold all that was received until then, and nothing that was received later.
    """

    series: Mapping[MetricKey, Mapping[SeriesKey, SampleWindow]] = field(default_factory=dict)
    received_until: datetime | None = None

    def of(self, source: MetricSource, metric: str) -> Mapping[SeriesKey, SampleWindow]:
        """The windows of one metric, none of them empty, by the number of the route's id."""
        return self.series.get((source, metric), _NONE)

    def added(
        self,
        samples: Iterable[MetricSample],
        now: datetime,
        limits: Mapping[MetricKey, WindowLimits] = MappingProxyType({}),
        default: WindowLimits = WindowLimits(),
    ) -> Self:
        """Give the windows with more samples, kept by the limits of their metric; the same where none is news.

        Samples further ahead of ``now`` than :data:`MAX_CLOCK_SKEW` are left out: one of them would displace all
        others.
        """
        latest = now.timestamp() + MAX_CLOCK_SKEW
        changed: dict[MetricKey, dict[SeriesKey, SampleWindow]] = {}
        for sample in samples:
            key, at = (sample.source, sample.metric), sample.at.timestamp()
            if at > latest:
                continue
            route = None if sample.route_id is None else sample.route_id.int
            known = changed.get(key) or self.series.get(key, _NONE)
            window = known.get(route) or SampleWindow()
            longer = window.added(at, sample.value, limits.get(key, default))
            if longer == window:
                continue
            if key not in changed:
                changed[key] = dict(known)
            changed[key][route] = longer
        return replace(self, series={**self.series, **changed}) if changed else self

    def has_others(self, routes: int) -> bool:
        """Whether there must be series of other routes than the deployment's so many (count)."""
        return any(len(series) > routes + 1 for series in self.series.values())

    def kept(self, routes: Iterable[UUID]) -> Self:
        """Give the windows without those of routes that are gone."""
        alive = {None, *(route.int for route in routes)}
        kept = {k: {r: w for r, w in s.items() if r in alive} for k, s in self.series.items()}
        return replace(self, series=kept)
