"""What follows from a command: the events that happen, or a rejection. Pure: time and ids are arguments."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import assert_never
from uuid import UUID

from domain import commands as c
from domain import events as e
from domain.deciding import destruction, endpoint, lifecycle, replicas, route_reports, scaling_pause
from domain.deployment import Deployment, Lifecycle
from domain.errors import CommandRejected, RejectionCode, unknown_deployment
from domain.evolve import replay
from domain.limits import DecisionLimits

#: Gives a new unique id at each call.
NewId = Callable[[], UUID]

_DEFAULT_LIMITS = DecisionLimits()


def decide(
    state: Deployment | None,
    command: c.AnyCommand,
    *,
    now: datetime,
    ids: NewId,
    limits: DecisionLimits = _DEFAULT_LIMITS,
) -> Sequence[e.DeploymentEvent]:
    """Give the events that ``command`` leads to, possibly none.

    ``state`` is ``None`` where nothing was created yet. Raises :class:`CommandRejected` where the command cannot be
    applied; then nothing has happened.
    """
    events = _decide(state, command, now=now, ids=ids, limits=limits)
    if not events or not _may_complete_destruction(state, command):
        return events
    return [*events, *destruction.completed(replay(events, state), now)]


def _may_complete_destruction(state: Deployment | None, command: c.AnyCommand) -> bool:
    if isinstance(command, c.DestroyDeployment):
        return True
    return state is not None and state.lifecycle is Lifecycle.DESTROYING


def _decide(
    state: Deployment | None, command: c.AnyCommand, *, now: datetime, ids: NewId, limits: DecisionLimits
) -> Sequence[e.DeploymentEvent]:
    if isinstance(command, c.CreateDeployment):
        return lifecycle.create(state, command, now)
    if state is None:
        raise unknown_deployment(command.deployment_id)
    match command:
        case c.ReportRoutes():
            return route_reports.report(state, command, now, limits)
        case c.DestroyDeployment():
            return destruction.destroy(state, command, now)
        case c.RecordEndpointUnregistered():
            return destruction.endpoint_unregistered(state, command, now)
        case c.RecordOperationFailure():
            return endpoint.operation_failed(state, command, now)
        case c.DoubtEndpoint():
            return endpoint.doubted(state, command, now)
        case c.RecordEndpointRegistered():
            return endpoint.registered(state, command, now)
        case c.TerminateRoutes():
            return replicas.terminate(state, command, now)
        case _:
            return _decide_unless_ending(state, command, now=now, ids=ids, limits=limits)


def _decide_unless_ending(
    state: Deployment,
    command: c.SetTargetRevision
    | c.SetReplicaCount
    | c.SetScalingPolicy
    | c.PauseScaling
    | c.OverrideReplicas
    | c.StartEndpointRegistration
    | c.ScaleOut
    | c.EvictRoutes
    | c.RecordDesiredReplicas
    | c.RecordReplicaCountMismatch
    | c.RecordReady
    | c.ExpireReplicaOverride,
    *,
    now: datetime,
    ids: NewId,
    limits: DecisionLimits,
) -> Sequence[e.DeploymentEvent]:
    _refuse_if_ending(state)
    match command:
        case c.SetTargetRevision():
            return lifecycle.set_target_revision(state, command, now)
        case c.SetReplicaCount():
            return replicas.set_count(state, command, now)
        case c.SetScalingPolicy():
            return replicas.set_policy(state, command, now)
        case c.PauseScaling():
            return scaling_pause.set_pause(state, command, now)
        case c.OverrideReplicas():
            return replicas.override(state, command, now)
        case c.StartEndpointRegistration():
            return endpoint.start_registration(state, command, now)
        case c.ScaleOut():
            return replicas.scale_out(state, command, now, ids)
        case c.EvictRoutes():
            return replicas.evict(state, command, now)
        case c.RecordDesiredReplicas():
            return replicas.record_desired(state, command, now, limits)
        case c.RecordReplicaCountMismatch():
            return lifecycle.mismatched(state, now)
        case c.RecordReady():
            return lifecycle.ready(state, now)
        case c.ExpireReplicaOverride():
            return replicas.expire_override(state, now)
        case _:
            assert_never(command)


def _refuse_if_ending(state: Deployment) -> None:
    if state.lifecycle is Lifecycle.DESTROYING:
        raise CommandRejected(RejectionCode.BEING_DESTROYED, f"deployment {state.id} is being destroyed")
    if state.lifecycle is Lifecycle.DESTROYED:
        raise CommandRejected(RejectionCode.DESTROYED, f"deployment {state.id} is destroyed")
