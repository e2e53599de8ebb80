"""What holds for a deployment after whatever happened to it."""

from collections.abc import Sequence
from typing import Final

from domain import events as e
from domain.deployment import Deployment, Lifecycle
from domain.events import DeploymentEvent
from domain.evolve import evolve, replay
from domain.limits import DecisionLimits
from domain.registry import EVENT_TYPES
from domain.routes import RouteStatus, TerminationReason
from domain.work import next_work

#: Where a deployment may go from each station of its life.
NEXT: Final = {
    Lifecycle.PENDING: {Lifecycle.SCALING, Lifecycle.DESTROYING},
    Lifecycle.SCALING: {Lifecycle.READY, Lifecycle.DESTROYING},
    Lifecycle.READY: {Lifecycle.SCALING, Lifecycle.DESTROYING},
    Lifecycle.DESTROYING: {Lifecycle.DESTROYED},
    Lifecycle.DESTROYED: set(),
}


def check_state(state: Deployment, limits: DecisionLimits) -> None:
    """Hold the invariants of a state."""
    _check_counts(state)
    _check_routes(state)
    if state.lifecycle is Lifecycle.DESTROYING:
        assert state.routes or state.endpoint.may_exist, "nothing is left, but the deployment is not destroyed"
    if next_work(state, limits) is None:
        assert rests(state), f"nothing is due in {state}"


def check_history(history: Sequence[DeploymentEvent], state: Deployment) -> None:
    """The events alone, also after a trip through the log, add up to the state that was reached step by step."""
    assert state.version == len(history)
    assert replay(history) == state
    assert replay([stored_and_loaded(event) for event in history]) == state


def check_step(before: Deployment | None, events: Sequence[DeploymentEvent]) -> None:
    """Hold the invariants of one decision, event by event."""
    state = before
    for event in events:
        earlier, state = state, evolve(state, event)
        if earlier is not None:
            assert state.lifecycle is earlier.lifecycle or state.lifecycle in NEXT[earlier.lifecycle]
            assert earlier.lifecycle is not Lifecycle.DESTROYED, "something happened after the end"
            _check_nobody_returns(earlier, state)
            _check_event(earlier, event, state)
    if before is not None and state is not None:
        assert state.active_count <= max(before.active_count, state.target_replica_count)


def _check_event(earlier: Deployment, event: DeploymentEvent, later: Deployment) -> None:
    match event:
        case e.DeploymentReady():
            assert event.replicas == later.active_count == later.target_replica_count
        case e.ReplicaCountMismatched():
            assert event.expected == later.target_replica_count
            assert event.actual == later.active_count != event.expected
        case e.ScaledOut():
            assert later.active_count <= later.target_replica_count
            assert later.scale_out_not_before is None or event.at >= later.scale_out_not_before
        case e.RoutesTerminating(reason=TerminationReason.SCALE_IN):
            assert later.active_count >= later.target_replica_count
        case e.EndpointAbandoned():
            assert earlier.endpoint.may_exist
        case _:
            pass


def stored_and_loaded(event: DeploymentEvent) -> DeploymentEvent:
    """The event after a trip through the log."""
    again = EVENT_TYPES[event.name].model_validate_json(event.model_dump_json())
    assert isinstance(again, type(event))
    assert again == event
    return again


def rests(state: Deployment) -> bool:
    """Whether only something new can bring the deployment on."""
    match state.lifecycle:
        case Lifecycle.PENDING:
            return state.target_revision is None
        case Lifecycle.SCALING:
            return state.target_revision is None and state.active_count < state.target_replica_count
        case Lifecycle.READY:
            return state.active_count == state.target_replica_count
        case Lifecycle.DESTROYING:
            return state.active_count == 0 and not state.endpoint.may_exist
        case Lifecycle.DESTROYED:
            return True


def _check_counts(state: Deployment) -> None:
    assert state.target_replica_count >= 0
    assert state.replica_spec.replica_count >= 0
    assert 0 <= state.healthy_count <= state.active_count <= len(state.routes)
    assert state.start_failures >= 0
    assert (state.scale_out_not_before is None) == (state.start_failures == 0)
    if state.override is not None:
        assert state.target_replica_count == state.override.replica_count
    elif not state.lifecycle.is_ending:
        target, policy = state.target_replica_count, state.scaling_policy
        inside = policy.clamp(target)
        # What a pause forbids is made up for by the rules once it is over.
        assert target == inside or (policy.rules and state.effective_pause.forbids(inside - target))


def _check_routes(state: Deployment) -> None:
    for route_id, route in state.routes.items():
        assert route.id == route_id
        assert not route.status.is_terminal
        assert route.status.is_active is not (route.status is RouteStatus.TERMINATING)
        assert (route.traffic_ratio > 0) is route.status.is_active
        assert route.created_at <= route.status_since


def _check_nobody_returns(earlier: Deployment, later: Deployment) -> None:
    active = {route.id for route in later.active_routes}
    for route in earlier.routes.values():
        assert route.status.is_active or route.id not in active, "a route came back"
