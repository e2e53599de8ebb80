"""What is published of the log: every event as a CloudEvent, and what each route should be."""

from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny

from domain import events as e
from domain.recorded import LoggedEvent, OperationCause, RecordCause

#: Who publishes, as CloudEvents wants to know.
SOURCE = "/routekeeper"


class PublishedData(BaseModel):
    """An event's own fields, and what caused it."""

    model_config = ConfigDict(frozen=True)

    cause: Annotated[RecordCause | OperationCause, Field(discriminator="kind")]
    event: SerializeAsAny[BaseModel]


class PublishedEvent(BaseModel):
    """One event of the log in CloudEvents' structured JSON mode; ``subject`` is the deployment id."""

    model_config = ConfigDict(frozen=True)

    specversion: Literal["1.0"] = "1.0"
    id: str
    source: str = SOURCE
    type: str
    subject: str
    time: datetime
    datacontenttype: Literal["application/json"] = "application/json"
    data: PublishedData


class Wanted(StrEnum):
    """What a route should be."""

    RUNNING = "running"
    STOPPED = "stopped"


class DesiredRoute(BaseModel):
    """What one route should be; a tombstone in its place means that it is over.

    ``version`` is the deployment's, so that a consumer can ignore what is older than what it has seen.
    """

    model_config = ConfigDict(frozen=True)

    deployment_id: UUID
    route_id: UUID
    desired: Wanted
    revision_id: UUID | None
    traffic_ratio: float
    version: int


def published_event(logged: LoggedEvent) -> PublishedEvent:
    """Put an event of the log into its envelope."""
    recorded = logged.recorded
    return PublishedEvent(
        id=recorded.event_id,
        type=recorded.event.name,
        subject=str(recorded.stream_id),
        time=recorded.event.at,
        data=PublishedData(cause=recorded.cause, event=recorded.event),
    )


def desired_routes(logged: LoggedEvent) -> Iterator[tuple[UUID, DesiredRoute | None]]:
    """What the event says about routes, by route id; ``None`` for a route that is over."""
    recorded = logged.recorded
    match recorded.event:
        case e.ScaledOut(route_ids=route_ids, revision_id=revision_id, traffic_ratio=ratio):
            wanted: dict[str, Any] = {"desired": Wanted.RUNNING, "revision_id": revision_id, "traffic_ratio": ratio}
        case e.RoutesTerminating(route_ids=route_ids):
            wanted = {"desired": Wanted.STOPPED, "revision_id": None, "traffic_ratio": 0.0}
        case e.RouteStatusReported(changes=changes):
            yield from ((change.route_id, None) for change in changes if change.status.is_terminal)
            return
        case _:
            return
    for route_id in route_ids:
        route = DesiredRoute(deployment_id=recorded.stream_id, route_id=route_id, version=recorded.version, **wanted)
        yield route_id, route
