"""What a deployment is due for, derived from its state alone: nothing is due because of a message."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from domain.deployment import Deployment, Lifecycle
from domain.failures import FailureKind
from domain.limits import DecisionLimits
from domain.operations import Operation


class Work(NamedTuple):
    """An operation and the earliest moment to do it; what is earlier comes first."""

    due_at: datetime
    operation: Operation


def next_work(state: Deployment, limits: DecisionLimits) -> Work | None:
    """Say what comes next for the deployment, or ``None`` if only something new can change that.

    ``due_at`` may lie in the past: then it is due now.
    """
    # Asked three times for each committed state, by who commits and by who reconciles: a sixth of a command's time.
    if state.worked_out is None or state.worked_out[0] is not limits:
        object.__setattr__(state, "worked_out", (limits, min(_all_work(state, limits), default=None)))
    work: Work | None = state.worked_out[1]
    return work


def scales(state: Deployment) -> bool:
    """Whether there are rules to evaluate: where there are replicas to scale, and nobody holds their number."""
    alive = state.lifecycle is Lifecycle.SCALING or state.lifecycle is Lifecycle.READY
    return alive and bool(state.scaling_policy.rules) and state.override is None


def _all_work(state: Deployment, limits: DecisionLimits) -> Iterator[Work]:
    if state.override is not None and state.override.until is not None and not state.lifecycle.is_ending:
        yield Work(state.override.until, Operation.EXPIRE_OVERRIDE)
    match state.lifecycle:
        case Lifecycle.PENDING:
            if state.target_revision is not None:
                yield _registration(state, state.created_at)
        case Lifecycle.SCALING | Lifecycle.READY:
            if (work := _replica_work(state)) is not None:
                yield work
            if (unhealthy_since := state.routes.unhealthy_since) is not None:
                yield Work(unhealthy_since + timedelta(seconds=limits.evict_unhealthy_after), Operation.EVICT)
            if (work := _reassertion(state, limits)) is not None:
                yield work
        case Lifecycle.DESTROYING:
            if state.endpoint.may_exist or state.active_count:
                yield _after_failure(state, Operation.DESTROY, state.created_at)
        case Lifecycle.DESTROYED:
            return


def _replica_work(state: Deployment) -> Work | None:
    missing = state.target_replica_count - state.active_count
    if missing == 0 and state.lifecycle is Lifecycle.READY:
        return None
    if missing == 0 or state.lifecycle is Lifecycle.READY:
        return _after_failure(state, Operation.CHECK_READY, state.created_at)
    if missing < 0:
        return _after_failure(state, Operation.SCALE, state.created_at)
    if state.target_revision is None:
        return None
    return _after_failure(state, Operation.SCALE, state.scale_out_not_before or state.created_at)


def _reassertion(state: Deployment, limits: DecisionLimits) -> Work | None:
    endpoint = state.endpoint
    if endpoint.doubted:
        return _registration(state, state.created_at)
    if endpoint.registered_at is None:
        return None
    interval = limits.reassert_endpoint_every * _spread(state)
    return _registration(state, endpoint.registered_at + timedelta(seconds=interval))


def _registration(state: Deployment, earliest: datetime) -> Work:
    # Whoever made the call in flight has until its deadline to report the answer.
    if state.endpoint.registration is not None:
        earliest = max(earliest, state.endpoint.registration.deadline)
    return _after_failure(state, Operation.CHECK_PENDING, earliest)


def _spread(state: Deployment) -> float:
    """Between 0.9 and 1.1 by the deployment's id, so that endpoints registered together are not asserted together."""
    return 0.9 + 0.2 * (state.id.int % 1024) / 1024


def _after_failure(state: Deployment, operation: Operation, earliest: datetime) -> Work:
    if not state.failures:
        return Work(earliest, operation)
    # Checking the number of replicas is the first step of scaling, and fails as scaling.
    failure = state.failures.get(Operation.SCALE if operation is Operation.CHECK_READY else operation)
    if failure is None:
        return Work(earliest, operation)
    asked_since = state.intent_version > failure.version
    if failure.kind is FailureKind.PERMANENT and asked_since:
        return Work(max(earliest, failure.failed_at), operation)
    return Work(max(earliest, failure.next_attempt_at), operation)
