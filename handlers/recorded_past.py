"""Reads what was recorded of a deployment, so that it can be gone through again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from domain.autoscaling.history import MAX_WINDOW
from domain.autoscaling.record import EvaluationRecord
from domain.autoscaling.rules import ScalingPolicy
from domain.autoscaling.window import MAX_CLOCK_SKEW
from domain.errors import RoutekeeperError
from domain.events import ScalingPolicySet
from domain.recorded import LoggedEvent, SystemEvent
from domain.scaling import looks_back
from domain.simulation.recorded import PastEvent, RecordedPast, SampleArrival
from handlers.ports import Retained, SampleReport


class PastUnknown(RoutekeeperError):
    """Part of what was recorded is not kept any more, or is more than is to be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PastLimits:
    """How much is read at most: reports of samples, and evaluations (counts)."""

    reports: int = 200_000
    evaluations: int = 200_000


class PastSource(Protocol):
    """Where a past is read from."""

    async def stream(self, stream_id: UUID) -> Sequence[LoggedEvent]:
        """All events of one stream in order."""
        ...

    async def sample_reports_between(
        self, deployment_id: UUID, *, since: datetime, until: datetime, limit: int
    ) -> Sequence[SampleReport]:
        """The first reports, at most ``limit``, that end at or after ``since`` and were received before ``until``."""
        ...

    async def evaluations_between(
        self, deployment_id: UUID, *, since: datetime, until: datetime, limit: int
    ) -> Sequence[EvaluationRecord]:
        """The first evaluations, at most ``limit``, of that time, and the last before it that holds memories."""
        ...

    async def horizons(self) -> Mapping[Retained, datetime]:
        """Before which moments something may be missing; absent is what was never pruned."""
        ...


async def read_past(
    source: PastSource,
    deployment_id: UUID,
    since: datetime,
    until: datetime,
    *,
    policies: Sequence[ScalingPolicy] = (),
    limits: PastLimits = PastLimits(),
) -> RecordedPast:
    """Read what matters between two moments for the recorded rules and for ``policies``. Raises :class:`PastUnknown`.

    Nothing is left out in silence: what is too much, or was deleted by retention, is an error.
    """
    events = [
        PastEvent(logged.recorded.event, logged.recorded.cause)
        for logged in await source.stream(deployment_id)
        if not isinstance(logged.recorded.event, SystemEvent)
    ]
    recorded = [past.event.policy for past in events if isinstance(past.event, ScalingPolicySet)]
    back = max([looks_back(policy) for policy in [*recorded, *policies]], default=0.0) + MAX_CLOCK_SKEW
    born = min([past.event.at for past in events], default=since)
    needed = {Retained.SAMPLES: timedelta(seconds=back), Retained.EVALUATIONS: timedelta(seconds=MAX_WINDOW)}
    for what, before in sorted((await source.horizons()).items()):
        if what in needed and max(born, since - needed[what]) < before:
            earliest = (before + needed[what]).isoformat()
            raise PastUnknown(
                f"{what.value} from before {before.isoformat()} were deleted: begin at {earliest} or later"
            )
    reports = await source.sample_reports_between(
        deployment_id, since=since - timedelta(seconds=back), until=until, limit=limits.reports + 1
    )
    evaluations = await source.evaluations_between(
        deployment_id, since=since - timedelta(seconds=MAX_WINDOW), until=until, limit=limits.evaluations + 1
    )
    # One more evaluation may be there: the last that holds memories.
    if len(reports) > limits.reports or len(evaluations) > limits.evaluations + 1:
        most = f"{limits.reports} reports of samples or {limits.evaluations} evaluations"
        raise PastUnknown(f"there are more than {most} in this time: choose a shorter one, or raise the limit")
    arrivals = [SampleArrival(report.received_at, report.samples) for report in reports]
    return RecordedPast(events=events, arrivals=arrivals, evaluations=evaluations)
