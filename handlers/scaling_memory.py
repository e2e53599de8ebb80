"""What autoscaling remembers of each deployment: the windows of its samples, and its recent evaluations.

All of it is in memory for speed only. It is restored from the log's own tables, so that a restart, or another worker,
goes on in the middle of a window.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Final, NamedTuple
from uuid import UUID

from domain.autoscaling.decision import ScalingDecision
from domain.autoscaling.evaluation import Evaluation
from domain.autoscaling.history import MAX_WINDOW, ScalingHistory
from domain.autoscaling.record import EvaluationRecord, restored
from domain.autoscaling.rules import ScalingPolicy
from domain.autoscaling.window import MetricKey, SampleWindows, WindowLimits
from domain.deployment import Deployment
from domain.quantities import Count
from domain.scaling import looks_back, window_limits
from handlers.backoff import Backoff
from handlers.patience import read_patiently
from handlers.ports import EventLog, SampleReport

#: After how long an evaluation that did not come to an end is tried again (seconds).
_UNANSWERED: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingMemoryLimits:
    """How many deployments are kept in memory (count); of more, those evaluated longest ago are restored when needed.

    ``window_samples``: most samples that are kept of one series (count).
    """

    deployments: Count = 100_000
    window_samples: Count = 128


class Unchanged(NamedTuple):
    """An evaluation that leaves the number of replicas as it is, with its decision where the reason is news."""

    deployment_id: UUID
    record: EvaluationRecord | None
    decision: ScalingDecision | None


@dataclass(slots=True)
class _Remembered:
    policy: ScalingPolicy
    limits: Mapping[MetricKey, WindowLimits]
    windows: SampleWindows
    history: ScalingHistory
    due_at: datetime | None = None


class ScalingMemory:
    """Keeps what evaluations need, and what they came to until that is recorded.

    A deployment is known here once :meth:`restore` was awaited for it; samples of others are in the log.
    """

    def __init__(
        self,
        event_log: EventLog,
        *,
        clock: Callable[[], datetime],
        limits: ScalingMemoryLimits = ScalingMemoryLimits(),
        backoff: Backoff | None = None,
    ) -> None:
        self._log = event_log
        self._clock = clock
        self._limits = limits
        self._backoff = backoff or Backoff()
        self._known: dict[UUID, _Remembered] = {}
        self._arrived: dict[UUID, list[SampleReport]] = {}
        self._unchanged: list[Unchanged] = []
        self._queries: dict[UUID, Mapping[str, str]] = {}
        self._generation = 0

    def add(self, report: SampleReport) -> bool:
        """Take over samples that were committed; tells whether they may make a difference."""
        if report.deployment_id in self._arrived:
            self._arrived[report.deployment_id].append(report)
        known = self._known.get(report.deployment_id)
        if known is None:
            return True
        before = known.windows
        known.windows = self._added(before, [report], known.limits)
        return known.windows is not before

    async def restore(self, deployments: Collection[Deployment]) -> None:
        """Read what is not known of the deployments, or was kept for another policy, as soon as the log answers.

        They count as due soon from then on, until :meth:`remember` is told what their evaluation came to.
        """
        await self._restore(deployments)
        soon = self._clock() + timedelta(seconds=_UNANSWERED)
        for deployment in deployments:
            if known := self._known.get(deployment.id):
                known.due_at = soon

    async def _restore(self, deployments: Collection[Deployment]) -> None:
        missing = [d for d in deployments if not self._knows(d)]
        while missing:
            generation = self._generation
            self._arrived |= {d.id: [] for d in missing}
            try:
                reports, records = await read_patiently(partial(self._read, missing), "samples", self._backoff)
                for deployment in missing:
                    known = [*reports.get(deployment.id, ()), *self._arrived[deployment.id]]
                    self._take_over(deployment, known, records.get(deployment.id, ()))
            finally:
                for deployment in missing:
                    self._arrived.pop(deployment.id, None)
            # What was read before everything was forgotten may be older than what somebody else has done since.
            missing = missing if generation != self._generation else []

    async def _read(
        self, deployments: Sequence[Deployment]
    ) -> tuple[Mapping[UUID, Sequence[SampleReport]], Mapping[UUID, Sequence[EvaluationRecord]]]:
        now, ids = self._clock(), [d.id for d in deployments]
        look_back = max(looks_back(d.scaling_policy) for d in deployments)
        reports = await self._log.sample_reports(ids, since=now - timedelta(seconds=look_back))
        return reports, await self._log.evaluations(ids, since=now - timedelta(seconds=MAX_WINDOW))

    def _take_over(
        self, deployment: Deployment, reports: Sequence[SampleReport], records: Iterable[EvaluationRecord]
    ) -> None:
        policy = deployment.scaling_policy
        limits = window_limits(policy, self._limits.window_samples)
        windows = self._added(SampleWindows(), reports, limits)
        self._known.pop(deployment.id, None)
        while len(self._known) >= self._limits.deployments:
            del self._known[next(iter(self._known))]
        if policy.queries:
            self._queries[deployment.id] = policy.queries
        else:
            self._queries.pop(deployment.id, None)
        history = restored(records, policy.memory_seconds)._replace(is_restored=True)
        self._known[deployment.id] = _Remembered(policy, limits, windows, history)

    def _added(
        self, windows: SampleWindows, reports: Sequence[SampleReport], limits: Mapping[MetricKey, WindowLimits]
    ) -> SampleWindows:
        """Leave out metrics that no rule looks at."""
        wanted = [s for report in reports for s in report.samples if (s.source, s.metric) in limits]
        added = windows.added(wanted, self._clock(), limits)
        if added is windows:
            return windows
        return replace(added, received_until=max(report.received_at for report in reports))

    def _knows(self, deployment: Deployment) -> bool:
        known = self._known.get(deployment.id)
        if known is None:
            return False
        if known.policy is not deployment.scaling_policy and known.policy != deployment.scaling_policy:
            return False
        known.policy = deployment.scaling_policy
        return True

    def windows(self, deployment: Deployment) -> SampleWindows:
        """The samples that its rules look at, of routes that it has."""
        known = self._known.get(deployment.id)
        if known is None:
            return SampleWindows()
        if known.windows.has_others(len(deployment.routes)):
            known.windows = known.windows.kept(deployment.routes)
        return known.windows

    def history(self, deployment_id: UUID) -> ScalingHistory:
        """The recent evaluations."""
        known = self._known.get(deployment_id)
        return ScalingHistory() if known is None else known.history

    def due_at(self, deployment_id: UUID) -> datetime | None:
        """When the last evaluation said to look again; ``None``: not without news."""
        known = self._known.get(deployment_id)
        return None if known is None else known.due_at

    def remember(self, deployment_id: UUID, evaluation: Evaluation, *, due_at: datetime | None) -> None:
        """Note what an evaluation came to, and when the next one is due."""
        known = self._known.pop(deployment_id, None)
        if known is not None:
            self._known[deployment_id] = known
            known.history, known.due_at = evaluation.history, due_at

    def note_unchanged(self, evaluation: Unchanged) -> None:
        """Keep an evaluation for whoever records it."""
        self._unchanged.append(evaluation)

    def take_unchanged(self) -> Sequence[Unchanged]:
        """Give what is to be recorded, once."""
        taken, self._unchanged = self._unchanged, []
        return taken

    def queries(self) -> Mapping[str, Sequence[tuple[UUID, str]]]:
        """The rules' own queries, each with the deployments that ask it and what they call its answer."""
        asked: dict[str, list[tuple[UUID, str]]] = {}
        for deployment_id, queries in self._queries.items():
            for metric, query in queries.items():
                asked.setdefault(query, []).append((deployment_id, metric))
        return asked

    def forget(self, deployment_id: UUID) -> None:
        """Drop what is known of a deployment whose rules are not evaluated any more."""
        self._known.pop(deployment_id, None)
        self._queries.pop(deployment_id, None)

    def clear(self) -> None:
        """Forget everything: somebody else may have evaluated meanwhile."""
        self._known.clear()
        self._queries.clear()
        self._generation += 1
