"""The newest metric samples in memory, as scaling rules want them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from domain.autoscaling.rules import MetricSource
from domain.autoscaling.samples import MetricSample, MetricsReport

_Series = tuple[MetricSource, str, UUID | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleStoreLimits:
    """How many deployments, and series of each, are kept (count); beyond that the least recently heard of go.

    A sample older than ``max_age_seconds`` says nothing any more.
    """

    deployments: int = 100_000
    series: int = 10_000
    max_age_seconds: float = 300.0


class SampleStore:
    """Keeps the newest sample of each series (source, metric, route) of each deployment."""

    def __init__(self, limits: SampleStoreLimits = SampleStoreLimits()) -> None:
        self._limits = limits
        self._samples: dict[UUID, dict[_Series, MetricSample]] = {}

    def add(self, report: MetricsReport) -> bool:
        """Take over what is newer than what is known; tells whether anything was."""
        known = self._samples.pop(report.deployment_id, {})
        self._samples[report.deployment_id] = known
        if len(self._samples) > self._limits.deployments:
            del self._samples[next(iter(self._samples))]
        news = False
        for sample in report.samples:
            series = (sample.source, sample.metric, sample.route_id)
            before = known.get(series)
            if before is not None and before.at >= sample.at:
                continue
            known.pop(series, None)
            known[series] = sample
            news = True
            if len(known) > self._limits.series:
                del known[next(iter(known))]
        return news

    def of(self, deployment_id: UUID, now: datetime) -> Sequence[MetricSample]:
        """The newest samples of the deployment, one a series, without those that are too old."""
        oldest = now - timedelta(seconds=self._limits.max_age_seconds)
        return [sample for sample in self._samples.get(deployment_id, {}).values() if sample.at >= oldest]

    def forget(self, deployment_id: UUID) -> None:
        """Drop what is known of a deployment that is gone."""
        self._samples.pop(deployment_id, None)
