"""What holds for a deployment after whatever happened to it."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from domain.deployment import Deployment, Lifecycle
from domain.events import DeploymentEvent
from domain.evolve import evolve, replay
from domain.limits import DecisionLimits
from domain.registry import EVENT_TYPES
from domain.routes import RouteStatus
from domain.work import next_work

#: Where a deployment may go from each station of its life.
NEXT: Final = {
    Lifecycle.PENDING: {Lifecycle.SCALING, Lifecycle.DESTROYING},
    Lifecycle.SCALING: {Lifecycle.READY, Lifecycle.DESTROYING},
    Lifecycle.READY: {Lifecycle.SCALING, Lifecycle.DESTROYING},
    Lifecycle.DESTROYING: {Lifecycle.DESTROYED},
    Lifecycle.DESTROYED: set(),
}


def check_state(state: Deployment, history: Sequence[DeploymentEvent], limits: DecisionLimits) -> None:
    """Hold the invariants of a state and of the events that led to it."""
    assert state.version == len(history)
    assert replay(history) == state
    assert replay(stored_and_loaded(history)) == state
    _check_counts(state)
    _check_routes(state)
    if state.lifecycle is Lifecycle.DESTROYING:
        assert state.routes or state.endpoint.may_exist, "nothing is left, but the deployment is not destroyed"
    if next_work(state, limits) is None:
        assert rests(state), f"nothing is due in {state}"


def check_step(before: Deployment | None, events: Sequence[DeploymentEvent], after: Deployment | None) -> None:
    """Hold the invariants of one decision."""
    states = [before]
    for event in events:
        states.append(evolve(states[-1], event))
    for earlier, later in pairwise(state for state in states if state is not None):
        assert later.lifecycle is earlier.lifecycle or later.lifecycle in NEXT[earlier.lifecycle]
        assert earlier.lifecycle is not Lifecycle.DESTROYED, "something happened after the end"
        _check_nobody_returns(earlier, later)
    if before is not None and after is not None:
        assert after.active_count <= max(before.active_count, after.target_replica_count)


def stored_and_loaded(history: Sequence[DeploymentEvent]) -> list[DeploymentEvent]:
    """The events after a trip through the log."""
    loaded = []
    for event in history:
        again = EVENT_TYPES[event.name].model_validate_json(event.model_dump_json())
        assert again == event
        assert isinstance(again, type(event))
        loaded.append(again)
    return loaded


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
        assert state.target_replica_count == state.scaling_policy.clamp(state.target_replica_count)


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
