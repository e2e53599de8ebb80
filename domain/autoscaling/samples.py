"""Measurements that scaling rules are held against."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from domain.autoscaling.metric import MetricSource
from domain.message import Message, Moment, Name

#: Most samples in one report (count).
MAX_SAMPLES_PER_REPORT = 1000


class MetricSample(Message):
    """One measurement: ``value`` (the metric's own unit) at a moment, of one route or of the deployment as a whole."""

    source: MetricSource
    metric: Name
    value: float
    at: Moment
    route_id: UUID | None = None


class MetricsReport(Message):
    """Samples of one deployment that were sent together."""

    deployment_id: UUID
    samples: Annotated[tuple[MetricSample, ...], Field(min_length=1, max_length=MAX_SAMPLES_PER_REPORT)]
