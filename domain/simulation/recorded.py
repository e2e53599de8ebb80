"""What a simulation starts from: everything that was recorded of one deployment."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from domain.autoscaling.record import EvaluationRecord
from domain.autoscaling.samples import MetricSample
from domain.events import DeploymentEvent
from domain.recorded import OperationCause, RecordCause


class SampleArrival(NamedTuple):
    """Samples that were received together at a moment."""

    at: datetime
    samples: Sequence[MetricSample]


class PastEvent(NamedTuple):
    """An event of the deployment and what caused it."""

    event: DeploymentEvent
    cause: RecordCause | OperationCause


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedPast:
    """All events of a deployment in their order, and its samples and evaluations, each oldest first.

    Of samples and evaluations there must be those that matter at the beginning: as far back as rules look, and
    evaluations of an hour with the last before that holds memories.
    """

    events: Sequence[PastEvent]
    arrivals: Sequence[SampleArrival] = ()
    evaluations: Sequence[EvaluationRecord] = ()


def first_from(arrivals: Sequence[SampleArrival], moment: datetime) -> int:
    """The index of the first arrival at or after a moment."""
    return bisect_left(arrivals, moment, key=lambda arrival: arrival.at)
