"""Taking a deployment down, so that nothing of it is left."""

from collections.abc import Sequence
from datetime import datetime

from domain import commands as c
from domain import events as e
from domain.deployment import Deployment, Lifecycle
from domain.errors import CommandRejected, RejectionCode
from domain.failures import FailureKind
from domain.operations import Operation


def destroy(state: Deployment, command: c.DestroyDeployment, now: datetime) -> Sequence[e.DeploymentEvent]:
    """Begin the destruction; again it has no effect, unless it is now to be forced."""
    if state.lifecycle is Lifecycle.DESTROYED:
        raise CommandRejected(RejectionCode.DESTROYED, f"deployment {state.id} is destroyed already")
    if state.lifecycle is Lifecycle.DESTROYING and (state.forced or not command.force):
        reason = "the deployment is being destroyed already"
        return [e.CommandHadNoEffect(at=now, command="destroy", reason=reason)]
    return [e.DestructionRequested(at=now, force=command.force)]


def endpoint_unregistered(
    state: Deployment, command: c.RecordEndpointUnregistered, now: datetime
) -> Sequence[e.DeploymentEvent]:
    """Believe a confirmed delete only if no create call can land after it; else delete again when none can."""
    if state.lifecycle is not Lifecycle.DESTROYING or not state.endpoint.may_exist:
        return []
    settles_at = state.endpoint.settles_at
    if settles_at is None or command.sent_at >= settles_at:
        return [e.EndpointUnregistered(at=now, sent_at=command.sent_at)]
    before = state.failures.get(Operation.DESTROY)
    unsettled = e.EndpointUnregistrationFailed(
        at=now,
        code="unsettled",
        reason="an earlier create call without an answer may still take effect, so the endpoint is deleted again then",
        detail=f"settles at {settles_at.isoformat()}",
        kind=FailureKind.UNKNOWN,
        attempts=1 if before is None else before.attempts + 1,
        next_attempt_at=settles_at,
    )
    return [unsettled]


def completed(state: Deployment | None, now: datetime) -> Sequence[e.DeploymentEvent]:
    """End the deployment if it is being destroyed and nothing of it is left, or nothing that is waited for."""
    if state is None or state.lifecycle is not Lifecycle.DESTROYING or state.endpoint.may_exist:
        return []
    if state.routes and not (state.forced and not state.active_count):
        return []
    return [e.DeploymentDestroyed(at=now, abandoned_routes=len(state.routes))]
