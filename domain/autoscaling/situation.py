"""What an evaluation starts from, prepared once for all rules: the count, the routes by readiness, the samples."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Self

from domain.autoscaling.history import Recommendation, RuleMemory, ScalingHistory
from domain.autoscaling.metric import MetricRule, MetricSource
from domain.autoscaling.window import SampleWindow, SampleWindows, SeriesKey
from domain.routes import Route, RouteStatus

# Bound once: looking up a member of an enumeration costs as much as what is done with it here.
_HEALTHY, _DEGRADED = RouteStatus.HEALTHY, RouteStatus.DEGRADED
_UNHEALTHY, _PROVISIONING = RouteStatus.UNHEALTHY, RouteStatus.PROVISIONING


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingInput:
    """What an evaluation starts from.

    ``current`` is the target number of replicas. ``rules_fired_at`` says when each step rule last changed it, and
    ``watermarks_used`` by which samples of each metric: they are acted on once. ``baseline`` is the number set by hand,
    which counts where no rule sizes the deployment. ``override`` is a number that holds against the rules, and
    ``override_ended`` the last one that did; ``stopped`` says that the count is 0 because somebody set it to 0, so that
    the rules do not wake the deployment; without ``reachable`` no traffic can come, so that removing need not be
    careful.
    """

    current: int
    routes: Collection[Route] = ()
    samples: SampleWindows = field(default_factory=SampleWindows)
    history: ScalingHistory = field(default_factory=ScalingHistory)
    rules_fired_at: Mapping[str, datetime] = field(default_factory=dict)
    watermarks_used: Mapping[tuple[MetricSource, str], datetime] = field(default_factory=dict)
    baseline: int | None = None
    override: int | None = None
    override_ended: Recommendation | None = None
    stopped: bool = False
    reachable: bool = True


class Bounds(NamedTuple):
    """The least and the most replicas that there may be now (count)."""

    least: int
    most: int

    def clamp(self, count: int) -> int:
        """Bring ``count`` inside."""
        return max(self.least, min(self.most, count))


class Situation(NamedTuple):
    """What every rule sees; ``timestamp`` is ``now`` in seconds since 1970.

    ``started`` are the routes that count as replicas and have been ready or failed to be; ``starting`` those still on
    their way; ``ready`` counts the ones that serve; ``leaving`` counts the ones that are going or gone.
    """

    given: ScalingInput
    now: datetime
    timestamp: float
    bounds: Bounds
    memories: Mapping[str, RuleMemory]
    started: tuple[Route, ...]
    starting: tuple[Route, ...]
    ready: int
    leaving: int

    @classmethod
    def of(cls, given: ScalingInput, now: datetime, bounds: Bounds, memories: Mapping[str, RuleMemory]) -> Self:
        """Sort the routes by readiness."""
        started, starting, ready, leaving = [], [], 0, 0
        for route in given.routes:
            status = route.status
            if status is _HEALTHY or status is _DEGRADED:
                started.append(route)
                ready += 1
            elif status is _UNHEALTHY:
                started.append(route)
            elif status is _PROVISIONING:
                starting.append(route)
            else:
                leaving += 1
        return cls(given, now, now.timestamp(), bounds, memories, tuple(started), tuple(starting), ready, leaving)

    @property
    def active(self) -> int:
        """How many routes count as replicas."""
        return len(self.started) + len(self.starting)

    def windows(self, rule: MetricRule) -> Mapping[SeriesKey, SampleWindow]:
        """The samples of the rule's metric, by the number of the route's id."""
        return self.given.samples.of(rule.source, rule.metric)

    def every_window(self, windows: Mapping[SeriesKey, SampleWindow]) -> list[SampleWindow]:
        """Those of the deployment as a whole and of its active routes, as far as there are any."""
        keys = (None, *[route.id.int for route in self.started], *[route.id.int for route in self.starting])
        return [window for key in keys if (window := windows.get(key)) is not None]


class Total(NamedTuple):
    """A metric of the deployment as a whole: the sum over ``series`` of them; times in seconds since 1970."""

    value: float
    series: int
    oldest: float
    newest: float


def total(rule: MetricRule, situation: Situation, seconds: float = 0.0) -> Total | None:
    """Add up the samples of the deployment and of its active routes; ``None`` where none counts.

    Of each series its newest sample counts, or with ``seconds`` its mean over as many of the last seconds.
    """
    windows, now = situation.windows(rule), situation.timestamp
    if not windows:
        return None
    value, count, oldest, newest = 0.0, 0, now, 0.0
    for window in situation.every_window(windows):
        sample = window.newest(now, rule.max_sample_age_seconds)
        if sample is None:
            continue
        mean = window.mean(now, seconds) if seconds else None
        value += sample[1] if mean is None else mean.value
        count += 1
        oldest, newest = min(oldest, sample[0]), max(newest, sample[0])
    return Total(value, count, oldest, newest) if count else None
