"""Deployments and routes that were never made."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID, uuid5

from domain import events as e
from domain.chunks import chunks
from domain.commands import MAX_ROUTES_PER_MESSAGE
from domain.deployment import Deployment
from domain.evolve import evolve, replay
from domain.revision import Revision
from domain.routes import RouteStatus, TerminationReason, termination_order


def imagined(name: str, replicas: int, at: datetime) -> Deployment:
    """A deployment that was never made: ready at a moment, with so many replicas that serve."""
    key = uuid5(UUID(int=0), name)
    revision = Revision(revision_id=key, image="simulated", model="simulated")
    made: list[e.DeploymentEvent] = [
        e.DeploymentCreated(
            at=at,
            deployment_id=key,
            deployment_name=name,
            resource_group="simulated",
            domain="simulated",
            project=key,
            owner=key,
            open_to_public=False,
            replica_count=replicas,
            digest="",
        ),
        e.TargetRevisionSet(at=at, revision=revision),
        e.EndpointRegistered(at=at, url="http://simulated"),
    ]
    state = replay(made)
    if state is None:
        raise AssertionError("something was made")
    ids = [uuid5(key, f"first route {number}") for number in range(replicas)]
    return with_status(with_routes(state, ids, at), ids, RouteStatus.HEALTHY, at)


def new_route(deployment_id: UUID, number: int) -> UUID:
    """The id of the simulated route of this number (from 0), always the same."""
    return uuid5(deployment_id, f"simulated route {number}")


def with_routes(state: Deployment, ids: Sequence[UUID], at: datetime) -> Deployment:
    """Add routes that are on their way."""
    if state.target_revision is None:
        return state
    revision_id = state.target_revision.revision_id
    for some in chunks(ids, MAX_ROUTES_PER_MESSAGE):
        state = evolve(state, e.ScaledOut(at=at, route_ids=tuple(some), revision_id=revision_id, traffic_ratio=1.0))
    return state


def with_status(state: Deployment, ids: Sequence[UUID], status: RouteStatus, at: datetime) -> Deployment:
    """Let routes come to a status, those of them that are there."""
    changes = [
        e.RouteStatusChange(route_id=key, previous=state.routes[key].status, status=status)
        for key in ids
        if key in state.routes and state.routes[key].status is not status
    ]
    for some in chunks(changes, MAX_ROUTES_PER_MESSAGE):
        reported = e.RouteStatusReported(at=at, changes=tuple(some), start_failures=0, scale_out_not_before=None)
        state = evolve(state, reported)
    return state


def without_routes(state: Deployment, count: int, at: datetime) -> Deployment:
    """Take away so many routes, in the order in which it is always done; they are gone at once."""
    victims = [route.id for route in termination_order(state.active_routes)[:count]]
    for some in chunks(victims, MAX_ROUTES_PER_MESSAGE):
        reason = TerminationReason.SCALE_IN
        state = evolve(state, e.RoutesTerminating(at=at, route_ids=tuple(some), reason=reason))
    return with_status(state, victims, RouteStatus.TERMINATED, at)
