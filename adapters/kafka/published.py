"""What is published of the log: every event as a CloudEvent, and what each route should be."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny

from adapters.kafka.desired_routes import desired_routes
from domain.recorded import LoggedEvent, OperationCause, RecordCause

Header = tuple[str, bytes]

#: Who publishes, as CloudEvents wants to know.
SOURCE = "/routekeeper"
#: What tells a CloudEvent in structured mode from other records.
CONTENT_TYPE: Final[Header] = ("content-type", b"application/cloudevents+json; charset=UTF-8")


class PublishedData(BaseModel):
    """An event's own fields, and what caused it."""

    model_config = ConfigDict(frozen=True)

    cause: Annotated[RecordCause | OperationCause, Field(discriminator="kind")]
    event: SerializeAsAny[BaseModel]


class PublishedEvent(BaseModel):
    """One event of the log in CloudEvents' structured JSON mode.

    ``subject`` is the deployment id, or the stream in which refused records are noted.
    """

    model_config = ConfigDict(frozen=True)

    specversion: Literal["1.0"] = "1.0"
    id: Annotated[str, Field(description="STREAM:VERSION, the same each time the event is published.")]
    source: str = SOURCE
    type: Annotated[str, Field(description="The stable name of the event.")]
    subject: Annotated[str, Field(description="The deployment id, or the stream that notes refused records.")]
    time: Annotated[datetime, Field(description="When it was decided.")]
    datacontenttype: Literal["application/json"] = "application/json"
    data: PublishedData


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingRecord:
    """A record to be sent; ``placed_by`` is the id whose hash names the partition, and whose text is the key."""

    placed_by: UUID
    value: bytes | None
    headers: tuple[Header, ...]


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


def event_record(logged: LoggedEvent) -> OutgoingRecord:
    """The record that publishes an event."""
    value = published_event(logged).model_dump_json().encode()
    return OutgoingRecord(placed_by=logged.recorded.stream_id, value=value, headers=(CONTENT_TYPE, *_place(logged)))


def desired_route_records(logged: LoggedEvent) -> list[OutgoingRecord]:
    """The records that say what routes should be since the event; one without value says that a route is over."""
    return [
        OutgoingRecord(
            placed_by=route_id,
            value=None if desired is None else desired.model_dump_json().encode(),
            headers=_place(logged),
        )
        for route_id, desired in desired_routes(logged.recorded)
    ]


def _place(logged: LoggedEvent) -> tuple[Header, ...]:
    """What lets a reader ignore what it has seen, and go on with the trace that led to it."""
    place = (("position", str(logged.position).encode()), ("version", str(logged.recorded.version).encode()))
    trace = logged.recorded.cause.trace
    if trace is None:
        return place
    return (*place, *((name, text.encode()) for name, text in trace.headers().items()))
