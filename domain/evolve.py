"""What each event makes of a deployment. Never fails and never checks: what is evolved has already happened."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final, assert_never

from domain import events as e
from domain.autoscaling.history import Recommendation
from domain.autoscaling.metric import MetricRule
from domain.deployment import (
    Deployment,
    Endpoint,
    Lifecycle,
    Registration,
    ReplicaOverride,
    ReplicaSpec,
    ScalingReason,
)
from domain.failures import FailureKind
from domain.operations import Operation, OperationFailure
from domain.routes import Route, Routes, RouteStatus

#: Events that change what is asked of the deployment, as opposed to what was found out or done.
_INTENTS: Final = (
    e.TargetRevisionSet,
    e.ReplicaCountSet,
    e.ScalingPolicySet,
    e.ScalingPauseSet,
    e.ReplicasOverridden,
    e.ReplicaOverrideExpired,
    e.DestructionRequested,
)


def evolve(state: Deployment | None, event: e.DeploymentEvent) -> Deployment:
    """Give the deployment after ``event``; ``state`` is ``None`` before the first one."""
    if state is None:
        return _created(event)
    changes = _changes(state, event)
    if isinstance(event, _INTENTS):
        changes["intent_version"] = state.version + 1
    return state.changed(version=state.version + 1, **changes)


def replay(events: Iterable[e.DeploymentEvent], state: Deployment | None = None) -> Deployment | None:
    """Fold events, oldest first, into the deployment that they add up to."""
    for event in events:
        state = evolve(state, event)
    return state


def _created(event: e.DeploymentEvent) -> Deployment:
    if not isinstance(event, e.DeploymentCreated):
        msg = f"a deployment's history begins with {e.DeploymentCreated.name}, not with {event.name}"
        raise TypeError(msg)
    return Deployment(
        id=event.deployment_id,
        version=1,
        name=event.deployment_name,
        resource_group=event.resource_group,
        domain=event.domain,
        project=event.project,
        owner=event.owner,
        open_to_public=event.open_to_public,
        created_at=event.at,
        digest=event.digest,
        lifecycle=Lifecycle.PENDING,
        replica_spec=ReplicaSpec(replica_count=event.replica_count),
    )


def _changes(state: Deployment, event: e.DeploymentEvent) -> dict[str, Any]:
    match event:
        case e.DeploymentCreated() | e.CommandHadNoEffect():
            return {}
        case e.TargetRevisionSet():
            return {"target_revision": event.revision}
        case e.ReplicaCountSet():
            spec = ReplicaSpec(replica_count=event.replica_count)
            return {"replica_spec": spec, "override": None, "override_ended": None}
        case e.ScalingPolicySet():
            kept = {rule.name for rule in event.policy.rules}
            fired = {name: at for name, at in state.rules_fired_at.items() if name in kept}
            failures = _without(state, Operation.CALCULATE)
            changed = {"scaling_policy": event.policy, "scaling_reason": None}
            metrics = {(rule.source, rule.metric) for rule in event.policy.rules if isinstance(rule, MetricRule)}
            used = {metric: at for metric, at in state.watermarks_used.items() if metric in metrics}
            return {**changed, "rules_fired_at": fired, "watermarks_used": used, "failures": failures}
        case e.ScalingPauseSet():
            return {"scaling_pause": event.pause}
        case e.ReplicasOverridden():
            override = ReplicaOverride(replica_count=event.replica_count, until=event.until)
            return {"override": override, "replica_spec": _desire(state, event.replica_count)}
        case e.ReplicaOverrideExpired():
            spec = _desire(state, event.desired_replica_count)
            ended = Recommendation(event.at, spec.target_replica_count)
            return {"override": None, "override_ended": ended, "replica_spec": spec}
        case e.DesiredReplicasCalculated():
            return _desired_replicas_calculated(state, event)
        case e.ScaledOut():
            return _scaled_out(state, event)
        case e.RoutesTerminating():
            return _routes_terminating(state, event)
        case e.RouteStatusReported():
            return _route_status_reported(state, event)
        case e.ReplicaCountMismatched():
            return _counted(state, Lifecycle.SCALING)
        case e.DeploymentReady():
            return _counted(state, Lifecycle.READY)
        case e.DestructionRequested():
            forced = state.forced or event.force
            return {"lifecycle": Lifecycle.DESTROYING, "override": None, "forced": forced, "failures": {}}
        case e.DeploymentDestroyed():
            return {"lifecycle": Lifecycle.DESTROYED, "routes": Routes(), "failures": {}, "endpoint": Endpoint()}
        case e.EndpointRegistrationFailed() | e.EndpointUnregistrationFailed() | e.ScalingFailed():
            return _operation_failed(state, event)
        case e.DesiredReplicasCalculationFailed():
            return _operation_failed(state, event)
        case (
            e.EndpointRegistrationStarted()
            | e.EndpointRegistered()
            | e.EndpointDoubted()
            | e.EndpointUnregistered()
            | e.EndpointAbandoned()
        ):
            return _endpoint_changed(state, event)
        case _:
            assert_never(event)


def _lifecycle(state: Deployment, wanted: Lifecycle) -> Lifecycle:
    return state.lifecycle if state.lifecycle.is_ending else wanted


def _counted(state: Deployment, wanted: Lifecycle) -> dict[str, Any]:
    return {"lifecycle": _lifecycle(state, wanted), "failures": _without(state, Operation.SCALE)}


def _desire(state: Deployment, desired: int | None) -> ReplicaSpec:
    return replace(state.replica_spec, desired_replica_count=desired)


def _without(state: Deployment, operation: Operation) -> Mapping[Operation, OperationFailure]:
    if operation not in state.failures:
        return state.failures
    return {other: failure for other, failure in state.failures.items() if other is not operation}


def _desired_replicas_calculated(state: Deployment, event: e.DesiredReplicasCalculated) -> dict[str, Any]:
    decision = event.decision
    changes: dict[str, Any] = {"failures": _without(state, Operation.CALCULATE)}
    # A decision to leave the number as it is takes it from nobody's hand.
    if decision.desired != decision.previous:
        changes["replica_spec"] = _desire(state, decision.desired)
    if (key := decision.reason_key) is not None:
        changes["scaling_reason"] = ScalingReason(key, event.at)
    if decision.evaluation is not None:
        changes["rules_fired_at"] = {**state.rules_fired_at, decision.evaluation.rule: event.at}
        # Not by rule: one of lower priority must not act on the same samples a moment later.
        used = decision.evaluation
        changes["watermarks_used"] = {**state.watermarks_used, (used.source, used.metric_name): used.watermark}
    return changes


def _scaled_out(state: Deployment, event: e.ScaledOut) -> dict[str, Any]:
    added = {
        route_id: Route(
            id=route_id,
            revision_id=event.revision_id,
            status=RouteStatus.PROVISIONING,
            traffic_ratio=event.traffic_ratio,
            created_at=event.at,
            status_since=event.at,
        )
        for route_id in event.route_ids
    }
    return _routes_changed(state, Routes(state.routes | added), event)


def _routes_terminating(state: Deployment, event: e.RoutesTerminating) -> dict[str, Any]:
    routes = Routes(state.routes)
    for route_id in event.route_ids:
        if route := routes.get(route_id):
            terminating = RouteStatus.TERMINATING
            routes[route_id] = replace(route, status=terminating, traffic_ratio=0.0, status_since=event.at)
    return _routes_changed(state, routes, event)


def _routes_changed(state: Deployment, routes: Routes, event: e.ScaledOut | e.RoutesTerminating) -> dict[str, Any]:
    return {
        "routes": routes,
        "last_scaled_at": event.at,
        "lifecycle": _lifecycle(state, Lifecycle.SCALING),
        "failures": _without(state, Operation.SCALE),
    }


def _route_status_reported(state: Deployment, event: e.RouteStatusReported) -> dict[str, Any]:
    routes = Routes(state.routes)
    for change in event.changes:
        if change.status.is_terminal:
            routes.pop(change.route_id, None)
        elif route := routes.get(change.route_id):
            ratio = route.traffic_ratio if change.status.is_active else 0.0
            routes[change.route_id] = replace(route, status=change.status, traffic_ratio=ratio, status_since=event.at)
    return {
        "routes": routes,
        "start_failures": event.start_failures,
        "scale_out_not_before": event.scale_out_not_before,
    }


def _operation_failed(state: Deployment, event: e.OperationFailed) -> dict[str, Any]:
    failure = OperationFailure(
        code=event.code,
        reason=event.reason,
        kind=event.kind,
        attempts=event.attempts,
        failed_at=event.at,
        next_attempt_at=event.next_attempt_at,
        version=state.version + 1,
    )
    changes: dict[str, Any] = {"failures": {**state.failures, event.operation: failure}}
    if event.operation is Operation.CHECK_PENDING:
        changes["endpoint"] = _unregistered(state.endpoint, event)
    return changes


def _unregistered(endpoint: Endpoint, event: e.OperationFailed) -> Endpoint:
    # A call ends by its deadline: what fails later is another worker's try, and no answer to the one in flight.
    in_flight = endpoint.registration
    answered = event.kind is not FailureKind.UNKNOWN and (in_flight is None or event.at < in_flight.deadline)
    unsettled = endpoint.unsettled_until if answered else endpoint.settles_at
    return replace(endpoint, registration=None, unsettled_until=unsettled)


def _endpoint_changed(
    state: Deployment,
    event: e.EndpointRegistrationStarted
    | e.EndpointRegistered
    | e.EndpointDoubted
    | e.EndpointUnregistered
    | e.EndpointAbandoned,
) -> dict[str, Any]:
    match event:
        case e.EndpointRegistrationStarted():
            # A start that never got an answer (its worker died) may still take effect.
            started = Registration(deadline=event.deadline, settles_at=event.settles_at)
            unsettled = state.endpoint.settles_at
            return {"endpoint": replace(state.endpoint, registration=started, unsettled_until=unsettled)}
        case e.EndpointRegistered():
            registered = replace(
                state.endpoint, url=event.url, registration=None, registered_at=event.at, doubted=False
            )
            pending = state.lifecycle is Lifecycle.PENDING
            return {
                "endpoint": registered,
                "lifecycle": Lifecycle.SCALING if pending else state.lifecycle,
                "failures": _without(state, Operation.CHECK_PENDING),
            }
        case e.EndpointDoubted():
            unsettled = max(event.settles_at, state.endpoint.settles_at or event.settles_at)
            return {"endpoint": replace(state.endpoint, unsettled_until=unsettled, doubted=True)}
        case e.EndpointUnregistered() | e.EndpointAbandoned():
            return {"endpoint": Endpoint(), "failures": _without(state, Operation.DESTROY)}
        case _:
            assert_never(event)
