"""Small reports of samples and evaluations, for the contracts of event stores."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from adapters.event_store.event_log import RecorderEventLog
from domain.autoscaling.metric import MetricSource
from domain.autoscaling.record import EvaluationRecord
from domain.autoscaling.samples import MetricSample
from handlers.ports import DeploymentEvaluation, SampleReport
from tests.adapters.event_log_support import AT

LONG_AGO = AT - timedelta(days=365)


def later(seconds: float) -> datetime:
    """So long after :data:`AT`."""
    return AT + timedelta(seconds=seconds)


def sample(at: datetime, value: float = 0.1) -> MetricSample:
    """A measurement of the deployment as a whole."""
    return MetricSample(source=MetricSource.PROMETHEUS, metric="queue_depth", value=value, at=at)


def report(deployment: UUID, received_at: datetime = AT, *samples: MetricSample) -> SampleReport:
    """A report, of one sample that was taken when it was received unless said otherwise."""
    return SampleReport(
        deployment_id=deployment, received_at=received_at, samples=list(samples) or [sample(received_at)]
    )


def record(at: datetime = AT, *, memories: str | None = None, desired: int = 3) -> EvaluationRecord:
    """An evaluation that came to ``desired``."""
    return EvaluationRecord(
        at=at, version=7, watermark=None, previous=2, recommended=desired, desired=desired, memories=memories
    )


def evaluations(deployment: UUID, *records: EvaluationRecord) -> list[DeploymentEvaluation]:
    """Evaluations of one deployment."""
    return [DeploymentEvaluation(deployment, each) for each in records]


async def kept(log: RecorderEventLog, deployment: UUID) -> tuple[Sequence[SampleReport], Sequence[EvaluationRecord]]:
    """All reports and evaluations of a deployment."""
    reports = await log.sample_reports([deployment], since=LONG_AGO)
    records = await log.evaluations([deployment], since=LONG_AGO)
    return reports.get(deployment, ()), records.get(deployment, ())
