"""What each route should be, as the compacted topic says it: for a runtime that missed everything that led there."""

from typing import Literal
from uuid import UUID

from pydantic import Field

from domain.deployment import Deployment
from domain.events import RouteStatusReported, RoutesTerminating, ScaledOut
from domain.message import Message
from domain.recorded import RecordedEvent
from domain.routes import RouteStatus


class DesiredRoute(Message):
    """What a route should be since the ``version``-th event of its deployment.

    A route that should run runs the revision and has a share of the traffic in the given ratio to its siblings.
    """

    deployment_id: UUID
    route_id: UUID
    desired: Literal["running", "stopped"]
    revision_id: UUID | None = None
    traffic_ratio: float = Field(ge=0)
    version: int = Field(ge=1)


def desired_routes(recorded: RecordedEvent) -> list[tuple[UUID, DesiredRoute | None]]:
    """What an event changes: the routes it is about, each with what it should be now, or ``None`` when it is over.

    A forced destruction abandons routes that were told to stop before; they stay "stopped", as whoever runs them may
    still have to learn that.
    """
    event = recorded.event
    match event:
        case ScaledOut():
            return [
                (
                    route_id,
                    DesiredRoute(
                        deployment_id=recorded.stream_id,
                        route_id=route_id,
                        desired="running",
                        revision_id=event.revision_id,
                        traffic_ratio=event.traffic_ratio,
                        version=recorded.version,
                    ),
                )
                for route_id in event.route_ids
            ]
        case RoutesTerminating():
            return [(route_id, _stopped(recorded, route_id)) for route_id in event.route_ids]
        case RouteStatusReported():
            return [
                (change.route_id, None if change.status.is_terminal else _stopped(recorded, change.route_id))
                for change in event.changes
                # A runtime that takes a route away by itself must not bring it back: it is being replaced.
                if change.status.is_terminal or change.status is RouteStatus.TERMINATING
            ]
        case _:
            return []


def desired_now(state: Deployment) -> list[DesiredRoute]:
    """What all routes of a deployment that are not over should be, by its state."""
    return [
        DesiredRoute(
            deployment_id=state.id,
            route_id=route.id,
            desired="running" if route.status.is_active else "stopped",
            revision_id=route.revision_id if route.status.is_active else None,
            traffic_ratio=route.traffic_ratio if route.status.is_active else 0.0,
            version=state.version,
        )
        for route in state.routes.values()
    ]


def _stopped(recorded: RecordedEvent, route_id: UUID) -> DesiredRoute:
    return DesiredRoute(
        deployment_id=recorded.stream_id,
        route_id=route_id,
        desired="stopped",
        traffic_ratio=0.0,
        version=recorded.version,
    )
