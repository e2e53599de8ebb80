"""Registering the endpoint at the proxy, and operations that failed."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from domain import commands as c
from domain import events as e
from domain.deployment import Deployment, Lifecycle
from domain.errors import CommandRejected, RejectionCode
from domain.failures import FailureKind
from domain.operations import Operation

_FAILED_EVENTS: Final[Mapping[Operation, type[e.OperationFailed]]] = {
    Operation.CHECK_PENDING: e.EndpointRegistrationFailed,
    Operation.CALCULATE: e.DesiredReplicasCalculationFailed,
    Operation.CHECK_READY: e.ScalingFailed,
    Operation.SCALE: e.ScalingFailed,
    Operation.DESTROY: e.EndpointUnregistrationFailed,
}


#: After how many failed tries in a row (count) a forced destruction gives up on an endpoint.
FORCED_ATTEMPTS = 5


def start_registration(
    state: Deployment, command: c.StartEndpointRegistration, now: datetime
) -> Sequence[e.DeploymentEvent]:
    """Announce a create call before it is made, so that a destruction knows what may still land."""
    if state.target_revision is None:
        raise CommandRejected(RejectionCode.CHANGED_MEANWHILE, "there is no target revision to register")
    return [e.EndpointRegistrationStarted(at=now, deadline=command.deadline, settles_at=command.settles_at)]


def registered(state: Deployment, command: c.RecordEndpointRegistered, now: datetime) -> Sequence[e.DeploymentEvent]:
    """Note the endpoint, also in destruction: what the proxy holds must be known to be taken down."""
    if state.lifecycle is Lifecycle.DESTROYED:
        raise CommandRejected(RejectionCode.DESTROYED, f"deployment {state.id} is destroyed")
    return [e.EndpointRegistered(at=now, url=command.url)]


def doubted(state: Deployment, command: c.DoubtEndpoint, now: datetime) -> Sequence[e.DeploymentEvent]:
    """Note that the proxy may hold an endpoint, or none, whatever the log says; of what is over nothing is expected."""
    if state.lifecycle is Lifecycle.DESTROYED:
        return []
    return [e.EndpointDoubted(at=now, settles_at=command.settles_at)]


def operation_failed(
    state: Deployment, command: c.RecordOperationFailure, now: datetime
) -> Sequence[e.DeploymentEvent]:
    """Note the failure and when to try again; a forced destruction gives up on the endpoint instead."""
    if state.lifecycle is Lifecycle.DESTROYED:
        return []
    failed = _FAILED_EVENTS.get(command.operation)
    if failed is None:
        return []
    before = state.failures.get(failed.operation)
    attempts = 1 if before is None else before.attempts + 1
    if _gives_up(state, command, attempts):
        return [e.EndpointAbandoned(at=now, reason=f"{command.code}: {command.reason}"[:2000])]
    event = failed(
        at=now,
        code=command.code,
        reason=command.reason,
        detail=command.detail,
        kind=command.kind,
        attempts=attempts,
        next_attempt_at=command.next_attempt_at,
    )
    return [event]  # type: ignore[list-item] # every class in the table above is one of the union


def _gives_up(state: Deployment, command: c.RecordOperationFailure, attempts: int) -> bool:
    """Whether a forced destruction leaves the endpoint behind: at once where trying again cannot help."""
    if not (state.forced and command.operation is Operation.DESTROY and state.endpoint.may_exist):
        return False
    return command.kind is FailureKind.PERMANENT or attempts >= FORCED_ATTEMPTS
