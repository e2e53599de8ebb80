"""What scaling remembers beside the log, as rows: one for each report of samples, one for each evaluation."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import orjson

from adapters.event_store.instants import microseconds_of, moment_of
from domain.autoscaling.metric import MetricSource
from domain.autoscaling.record import EvaluationRecord
from domain.autoscaling.samples import MetricSample
from domain.errors import RoutekeeperError
from handlers.ports import SampleReport


class SamplesDamaged(RoutekeeperError):
    """A stored report of samples cannot be read."""


def newest_moment(report: SampleReport) -> datetime:
    """The latest moment that a report has to do with: that of a sample, or when it was received."""
    return max([report.received_at, *(sample.at for sample in report.samples)])


def packed_samples(samples: Iterable[MetricSample]) -> bytes:
    """Write samples as compact JSON: for each its source, metric, route (or null), microseconds since 1970, value."""
    return orjson.dumps(
        [
            (s.source, s.metric, None if s.route_id is None else s.route_id.hex, microseconds_of(s.at), s.value)
            for s in samples
        ]
    )


def unpacked_samples(packed: bytes) -> Sequence[MetricSample]:
    """Read what :func:`packed_samples` wrote. Raises :class:`SamplesDamaged` where it is something else."""
    try:
        return [
            MetricSample(
                source=MetricSource(source),
                metric=metric,
                route_id=None if route is None else UUID(route),
                at=moment_of(at),
                value=value,
            )
            for source, metric, route, at, value in orjson.loads(packed)
        ]
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise SamplesDamaged(str(error).partition("\n")[0]) from None


def reports_by_deployment(rows: Iterable[tuple[UUID, datetime, bytes]]) -> Mapping[UUID, Sequence[SampleReport]]:
    """Reports from rows of deployment, moment of receipt and packed samples; their order stays.

    Raises :class:`SamplesDamaged`, which names the table, the deployment and the moment.
    """
    found: dict[UUID, list[SampleReport]] = {}
    for deployment_id, received_at, packed in rows:
        try:
            samples = unpacked_samples(packed)
        except SamplesDamaged as error:
            which = f"the report of {deployment_id} that was received at {received_at.isoformat()}"
            raise SamplesDamaged(f"metric_samples: {which} cannot be read: {error}") from None
        report = SampleReport(deployment_id=deployment_id, received_at=received_at, samples=samples)
        found.setdefault(deployment_id, []).append(report)
    return found


def records_by_deployment(rows: Iterable[tuple[UUID, EvaluationRecord]]) -> Mapping[UUID, Sequence[EvaluationRecord]]:
    """Evaluations by deployment; their order stays."""
    found: dict[UUID, list[EvaluationRecord]] = {}
    for deployment_id, record in rows:
        found.setdefault(deployment_id, []).append(record)
    return found
