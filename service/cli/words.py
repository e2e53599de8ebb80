"""Events and what caused them, in words with their important numbers."""

from collections import Counter
from typing import assert_never
from uuid import UUID

from domain import events as e
from domain.incarnations import IncarnationBegun
from domain.pauses import EffectsPaused, EffectsResumed
from domain.recorded import AnyEvent, OperationCause, RecordCause
from domain.rejections import RecordsRejected
from domain.revision import Revision
from domain.routes import RouteStatus
from service.cli.moments import shown
from service.cli.scaling_words import describe_decision, describe_pause, describe_policy, number, replicas
from service.cli.system_words import describe_system_event


def describe_event(event: AnyEvent) -> str:
    """Say on one line what happened."""
    return " ".join(_described(event).splitlines())


def _described(event: AnyEvent) -> str:
    match event:
        case RecordsRejected() | EffectsPaused() | EffectsResumed() | IncarnationBegun():
            return describe_system_event(event)
        case e.DeploymentCreated():
            wanted = replicas(event.replica_count)
            return f"created as {event.deployment_name} in resource group {event.resource_group}, {wanted} wanted"
        case e.TargetRevisionSet():
            return f"target revision set to {describe_revision(event.revision)}"
        case e.ReplicaCountSet():
            return f"number of replicas set by hand: {event.previous} → {event.replica_count}"
        case e.ScalingPolicySet():
            return f"scaling policy set: {describe_policy(event.policy)}"
        case e.ScalingPauseSet():
            return describe_pause(event.pause)
        case e.ReplicasOverridden():
            until = f"until {shown(event.until)}" if event.until else "until told otherwise"
            return f"held at {replicas(event.replica_count)} {until}, rules suspended"
        case e.ReplicaOverrideExpired():
            if event.desired_replica_count is None:
                return "no longer held: the number of replicas set by hand counts"
            return f"no longer held: back to {replicas(event.desired_replica_count)}"
        case e.DesiredReplicasCalculated():
            return describe_decision(event.decision)
        case e.ReplicaCountMismatched():
            return f"{number(event.actual, 'active replica')} where {event.expected} are wanted"
        case e.DeploymentReady():
            return f"ready with {replicas(event.replicas)}"
        case e.CommandHadNoEffect():
            return f"{event.command} had no effect: {event.reason}"
        case e.ScaledOut() | e.RoutesTerminating() | e.RouteStatusReported():
            return _routes(event)
        case _:
            return _endpoint_or_end(event)


def describe_cause(cause: RecordCause | OperationCause) -> str:
    """Say what led to an event: the record, with its place and sender, or an operation of Routekeeper's own."""
    match cause:
        case RecordCause():
            by = f" by {cause.actor}" if cause.actor else ""
            sent = f" from {cause.source} {cause.id}" if cause.source else ""
            return f"{cause.topic}/{cause.partition}@{cause.offset}{by}{sent}"
        case OperationCause():
            return operation_in_words(cause.operation)
        case _:
            assert_never(cause)


def operation_in_words(operation: str) -> str:
    """An operation as people say it."""
    return operation.replace("_", " ")


def describe_revision(revision: Revision) -> str:
    """Say what a revision runs."""
    what = f"{revision.model} in {revision.image} ({revision.runtime_variant})"
    return f"{brief(revision.revision_id)}: {what}"


def brief(identity: UUID) -> str:
    """The beginning of an id: as much as also tells apart ids that begin with the time."""
    return str(identity)[:13]


def _routes(event: e.ScaledOut | e.RoutesTerminating | e.RouteStatusReported) -> str:
    match event:
        case e.ScaledOut():
            return f"scaled out by {number(len(event.route_ids), 'route')} of revision {brief(event.revision_id)}"
        case e.RoutesTerminating():
            return f"{number(len(event.route_ids), 'route')} told to terminate ({event.reason.value})"
        case e.RouteStatusReported():
            return _reported(event)
        case _:
            assert_never(event)


def _reported(event: e.RouteStatusReported) -> str:
    changes = Counter((change.previous, change.status) for change in event.changes)
    said = [
        f"{number(count, 'route')} {_status(previous)} → {_status(status)}"
        for (previous, status), count in changes.items()
    ]
    details = sorted({change.detail for change in event.changes if change.detail})
    if details:
        said.append(f"“{details[0]}”" + (f" and {len(details) - 1} more" if len(details) > 1 else ""))
    if event.start_failures:
        said.append(f"{number(event.start_failures, 'failed start')} in a row")
    if event.scale_out_not_before:
        said.append(f"no new route before {shown(event.scale_out_not_before)}")
    return ", ".join(said)


def _status(status: RouteStatus) -> str:
    return status.value.replace("_", " ")


def _endpoint_or_end(
    event: e.EndpointRegistrationStarted
    | e.EndpointRegistered
    | e.EndpointDoubted
    | e.EndpointRegistrationFailed
    | e.EndpointUnregistered
    | e.EndpointUnregistrationFailed
    | e.EndpointAbandoned
    | e.ScalingFailed
    | e.DesiredReplicasCalculationFailed
    | e.DestructionRequested
    | e.DeploymentDestroyed,
) -> str:
    match event:
        case e.EndpointRegistrationStarted():
            return f"endpoint is being registered, with an answer by {shown(event.deadline)}"
        case e.EndpointRegistered():
            return f"endpoint registered at {event.url}"
        case e.EndpointDoubted():
            return "endpoint in doubt, because the log was restored: it is asserted or deleted again"
        case e.EndpointRegistrationFailed():
            return _failed("registering the endpoint", event)
        case e.EndpointUnregistered():
            return "endpoint unregistered"
        case e.EndpointUnregistrationFailed():
            return _failed("unregistering the endpoint", event)
        case e.EndpointAbandoned():
            return f"endpoint given up on, though it may still exist: {event.reason}"
        case e.ScalingFailed():
            return _failed("scaling", event)
        case e.DesiredReplicasCalculationFailed():
            return _failed("calculating the desired replicas", event)
        case e.DestructionRequested():
            return "destruction requested" + (" by force" if event.force else "")
        case e.DeploymentDestroyed():
            left = event.abandoned_routes
            return "destroyed" + (f", with {number(left, 'route')} given up on" if left else "")
        case _:
            assert_never(event)


def _failed(what: str, event: e.OperationFailed) -> str:
    detail = f" ({event.detail})" if event.detail else ""
    return (
        f"{what} failed, attempt {event.attempts}: {event.reason}{detail} "
        f"[{event.code}, {event.kind.value}], next try {shown(event.next_attempt_at)}"
    )
