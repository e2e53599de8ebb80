"""Recorded samples as the windows that an evaluation saw."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from domain.autoscaling.rules import ScalingPolicy
from domain.autoscaling.samples import MetricSample
from domain.autoscaling.window import MAX_CLOCK_SKEW, MetricKey, SampleWindows, WindowLimits
from domain.deployment import Deployment
from domain.scaling import looks_back, window_limits
from domain.simulation.recorded import SampleArrival, first_from


class SampleFeed:
    """Goes through arrivals; ``window_samples``: most samples that are kept of one series (count)."""

    def __init__(self, arrivals: Sequence[SampleArrival], *, window_samples: int) -> None:
        self._arrivals = arrivals
        self._window_samples = window_samples
        self._policy: ScalingPolicy | None = None
        self._limits: dict[MetricKey, WindowLimits] = {}
        self._next = 0
        self.windows = SampleWindows()

    def received_until(self, moment: datetime | None, state: Deployment) -> SampleWindows:
        """The windows of what was received until a moment (``None``: of nothing), as the deployment's rules want it."""
        if moment is None:
            self._policy = None
            return SampleWindows()
        self.follow(state.scaling_policy, moment)
        while self._next < len(self._arrivals) and self._arrivals[self._next].at <= moment:
            arrival = self._arrivals[self._next]
            self._next += 1
            self.add(arrival.samples, arrival.at)
        if self.windows.has_others(len(state.routes)):
            self.windows = self.windows.kept(state.routes)
        return self.windows

    def follow(self, policy: ScalingPolicy, moment: datetime) -> None:
        """Begin anew where the rules are others than before, with what is not too old for them at a moment."""
        is_ahead = self._next > 0 and self._arrivals[self._next - 1].at > moment
        if policy == self._policy and not is_ahead:
            return
        self._policy = policy
        self._limits = window_limits(policy, self._window_samples)
        self.windows = SampleWindows()
        since = moment - timedelta(seconds=looks_back(policy) + MAX_CLOCK_SKEW)
        self._next = first_from(self._arrivals, since)

    def add(self, samples: Sequence[MetricSample], at: datetime) -> bool:
        """Take in samples that come at a moment; tells whether they may make a difference."""
        wanted = [sample for sample in samples if (sample.source, sample.metric) in self._limits]
        before = self.windows
        self.windows = before.added(wanted, at, self._limits)
        return self.windows is not before
