"""One round of one operation: what must be announced before it, and what its results mean as commands."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import random
from typing import assert_never

from domain import commands as c
from domain.conditions import PROXY_TARGET_MISSING
from domain.deployment import Deployment
from domain.errors import RejectionCode
from domain.failures import FailureKind
from domain.limits import DecisionLimits
from domain.operations import Operation
from domain.quantities import Seconds
from handlers.backoff import Backoff
from handlers.decider import Decider
from handlers.deployment_repository import ScalingGroupProxyTarget
from handlers.executor import REPLICA_COUNT_MISMATCH, DeploymentExecutor
from handlers.ports import DeploymentEvaluation
from handlers.results import DeploymentExecutionError
from handlers.scaling_memory import ScalingMemory, Unchanged

#: What a result is rejected with when the deployment has moved on since the operation began.
_CHANGED_MEANWHILE = frozenset(
    {RejectionCode.CHANGED_MEANWHILE, RejectionCode.BEING_DESTROYED, RejectionCode.DESTROYED}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """When a failed operation is tried again; all times in seconds.

    ``permanent_after`` is for failures that trying again does not mend: only a change of state or of settings does,
    and to be sure a slow look.
    """

    backoff: Backoff = field(default_factory=Backoff)
    permanent_after: Seconds = 600.0

    def next_attempt(self, kind: FailureKind, attempt: int, now: datetime) -> datetime:
        """The moment of the try after the ``attempt``-th failure in a row (from 1)."""
        permanent = kind is FailureKind.PERMANENT
        delay = self.permanent_after if permanent else self.backoff.delay(attempt, random())  # noqa: S311 - jitter
        return now + timedelta(seconds=delay)


class Reconciliation:
    """Runs operations of the executor and has their results recorded.

    ``registration_seconds`` is the longest that a create call may take with all its waiting, ``announcement_seconds``
    how long before it its announcement may take to be committed, and ``settle_seconds`` how much longer the proxy may
    act on it after that.
    """

    def __init__(
        self,
        executor: DeploymentExecutor,
        decider: Decider,
        proxy_targets: Mapping[str, ScalingGroupProxyTarget],
        scaling: ScalingMemory,
        *,
        clock: Callable[[], datetime],
        decision_limits: DecisionLimits,
        registration_seconds: float,
        announcement_seconds: float = 10.0,
        settle_seconds: float = 30.0,
        retry: RetryPolicy = RetryPolicy(),
    ) -> None:
        self._executor = executor
        self._decider = decider
        self._proxy_targets = proxy_targets
        self._scaling = scaling
        self._clock = clock
        self._limits = decision_limits
        self._registration = timedelta(seconds=registration_seconds)
        self._announcement = timedelta(seconds=announcement_seconds)
        self._settle = timedelta(seconds=settle_seconds)
        self._retry = retry
        self._changed_at: dict[str, datetime] = {}

    @property
    def slow_retry_seconds(self) -> float:
        """How long failures that trying again does not mend wait for the next try (seconds)."""
        return self._retry.permanent_after

    def note_changed_proxies(self, groups: Collection[str]) -> None:
        """From now on the settings name another app proxy for these scaling groups, or another token."""
        self._changed_at.update(dict.fromkeys(groups, self._clock()))

    def has_proxy_again(self, operation: Operation, deployment: Deployment) -> bool:
        """Whether the operation last failed for want of the app proxy that the settings name now."""
        failure = deployment.failures.get(operation)
        if failure is None or not self._has_proxy(deployment):
            return False
        changed_at = self._changed_at.get(deployment.resource_group)
        is_outdated = changed_at is not None and failure.failed_at < changed_at
        return failure.code == PROXY_TARGET_MISSING or (is_outdated and failure.kind is FailureKind.PERMANENT)

    async def run(self, operation: Operation, deployments: Sequence[Deployment]) -> None:
        """Do ``operation`` for the deployments and return when its results are committed."""
        match operation:
            case Operation.CHECK_PENDING:
                commands = await self._check_pending(deployments)
            case Operation.CHECK_READY:
                commands = await self._check_ready(deployments)
            case Operation.SCALE:
                result = await self._executor.scale_deployment(deployments)
                commands = self._failures(operation, result.errors)
            case Operation.CALCULATE:
                result = await self._executor.calculate_desired_replicas(deployments)
                await self._record_unchanged(self._scaling.take_unchanged())
                commands = self._failures(operation, result.errors)
            case Operation.DESTROY:
                commands = await self._destroy(deployments)
            case Operation.EVICT:
                since = self._clock() - timedelta(seconds=self._limits.evict_unhealthy_after)
                commands = [c.EvictRoutes(deployment_id=d.id, unhealthy_since=since) for d in deployments]
            case Operation.EXPIRE_OVERRIDE:
                commands = [c.ExpireReplicaOverride(deployment_id=d.id) for d in deployments]
            case _:
                assert_never(operation)
        await self._decider.execute(commands, operation)

    async def _record_unchanged(self, evaluations: Sequence[Unchanged]) -> None:
        """Record every evaluation, and as an event those whose reason is news."""
        news = [c.RecordDesiredReplicas(deployment_id=key, decision=d) for key, _, d in evaluations if d is not None]
        records = {key: record for key, record, d in evaluations if d is not None and record is not None}
        decided = await self._decider.execute(news, Operation.CALCULATE, records)
        refused = {n.deployment_id for n, answer in zip(news, decided, strict=True) if answer.rejection is not None}
        # What is remembered of an evaluation is recorded, also where the deployment has changed meanwhile.
        others = [
            DeploymentEvaluation(k, r) for k, r, d in evaluations if r is not None and (d is None or k in refused)
        ]
        await self._decider.record(others)

    async def _check_pending(self, deployments: Sequence[Deployment]) -> Sequence[c.AnyCommand]:
        """Commit the announcement of each create call before it is made, so that no destruction overlooks it."""
        reachable = [d for d in deployments if self._has_proxy(d)]
        missing = [self._proxy_missing(d, Operation.CHECK_PENDING) for d in deployments if not self._has_proxy(d)]
        latest_start = self._clock() + self._announcement
        deadline = latest_start + self._registration
        announcements = [
            c.StartEndpointRegistration(deployment_id=d.id, deadline=deadline, settles_at=deadline + self._settle)
            for d in reachable
        ]
        decided = await self._decider.execute(announcements, Operation.CHECK_PENDING)
        announced = [a.state for a in decided if a.rejection is None and a.state is not None]
        if self._clock() > latest_start:
            return [*missing, *map(self._announced_too_late, announced)]
        result = await self._executor.check_pending_deployments(announced)
        # The settings may have lost a proxy between the announcement and the call.
        missing += [self._proxy_missing(d, Operation.CHECK_PENDING) for d in result.skipped]
        return [*missing, *self._failures(Operation.CHECK_PENDING, result.errors)]

    async def _check_ready(self, deployments: Sequence[Deployment]) -> Sequence[c.AnyCommand]:
        result = await self._executor.check_ready_deployments_that_need_scaling(deployments)
        ready = [c.RecordReady(deployment_id=d.id) for d in result.successes]
        mismatched = [error for error in result.errors if error.code == REPLICA_COUNT_MISMATCH]
        failed = [error for error in result.errors if error.code != REPLICA_COUNT_MISMATCH]
        differences = [
            c.RecordReplicaCountMismatch(
                deployment_id=error.deployment_info.id,
                expected=error.deployment_info.target_replica_count,
                actual=error.deployment_info.active_count,
            )
            for error in mismatched
        ]
        # Counting replicas is the first step of scaling, and fails as scaling.
        return [*ready, *differences, *self._failures(Operation.SCALE, failed)]

    async def _destroy(self, deployments: Sequence[Deployment]) -> Sequence[c.AnyCommand]:
        sent_at = self._clock()
        reachable = {d.id for d in deployments if self._has_proxy(d)}
        result = await self._executor.destroy_deployment(deployments)
        commands: list[c.AnyCommand] = []
        for deployment in result.successes:
            if not deployment.endpoint.may_exist:
                continue
            # If the settings changed meanwhile, nobody knows whether there was a proxy to call.
            if deployment.id in reachable and self._has_proxy(deployment):
                commands.append(c.RecordEndpointUnregistered(deployment_id=deployment.id, sent_at=sent_at))
            else:
                commands.append(self._proxy_missing(deployment, Operation.DESTROY))
        return [*commands, *self._failures(Operation.DESTROY, result.errors)]

    def _has_proxy(self, deployment: Deployment) -> bool:
        return self._proxy_targets.get(deployment.resource_group) is not None

    def _proxy_missing(self, deployment: Deployment, operation: Operation) -> c.AnyCommand:
        return self._failure(
            deployment,
            operation,
            code=PROXY_TARGET_MISSING,
            reason=f"scaling group {deployment.resource_group!r} has no app proxy",
            detail="",
            kind=FailureKind.PERMANENT,
        )

    def _announced_too_late(self, deployment: Deployment) -> c.AnyCommand:
        return self._failure(
            deployment,
            Operation.CHECK_PENDING,
            code="announced-too-late",
            reason="the create call was not made, because its announcement took too long to be committed",
            detail="",
            kind=FailureKind.TRANSIENT,
        )

    def _failures(self, operation: Operation, errors: Sequence[DeploymentExecutionError]) -> list[c.AnyCommand]:
        """What changed meanwhile is no failure: the deployment is due again by its new state."""
        return [
            self._failure(
                error.deployment_info,
                operation,
                code=error.code,
                reason=error.reason,
                detail=error.error_detail,
                kind=error.kind,
            )
            for error in errors
            if error.code not in _CHANGED_MEANWHILE
        ]

    def _failure(
        self, deployment: Deployment, operation: Operation, *, code: str, reason: str, detail: str, kind: FailureKind
    ) -> c.AnyCommand:
        before = deployment.failures.get(operation)
        attempt = 1 if before is None else before.attempts + 1
        return c.RecordOperationFailure(
            deployment_id=deployment.id,
            operation=operation,
            code=code,
            reason=reason[:2000],
            detail=detail[:2000],
            kind=kind,
            next_attempt_at=self._retry.next_attempt(kind, attempt, self._clock()),
        )
