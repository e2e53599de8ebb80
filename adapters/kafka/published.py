"""What is published of the log: every event as a CloudEvent, and what each route should be."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny

from adapters.kafka.desired_routes import desired_routes
from domain.incarnations import FIRST_INCARNATION
from domain.recorded import LoggedEvent, OperationCause, RecordCause

Header = tuple[str, bytes]

#: Who publishes, as CloudEvents wants to know.
SOURCE = "/routekeeper"
#: What tells a CloudEvent in structured mode from other records.
CONTENT_TYPE: Final[Header] = ("content-type", b"application/cloudevents+json; charset=UTF-8")

#: The names of the headers that say where an event stands.
POSITION: Final = "position"
VERSION: Final = "version"
INCARNATION: Final = "incarnation"


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


def event_record(logged: LoggedEvent, incarnation: int = FIRST_INCARNATION) -> OutgoingRecord:
    """The record that publishes an event of the log's given incarnation."""
    value = published_event(logged).model_dump_json().encode()
    return OutgoingRecord(
        placed_by=logged.recorded.stream_id, value=value, headers=(CONTENT_TYPE, *_place(logged, incarnation))
    )


def desired_route_records(logged: LoggedEvent, incarnation: int = FIRST_INCARNATION) -> list[OutgoingRecord]:
    """The records that say what routes should be since the event; one without value says that a route is over."""
    return [
        OutgoingRecord(
            placed_by=route_id,
            value=None if desired is None else desired.model_dump_json().encode(),
            headers=_place(logged, incarnation),
        )
        for route_id, desired in desired_routes(logged.recorded)
    ]


def place_headers(position: int, version: int, incarnation: int) -> tuple[Header, ...]:
    """What lets a reader ignore what it has seen, and forget what never happened."""
    numbers = {POSITION: position, VERSION: version, INCARNATION: incarnation}
    return tuple((name, str(number).encode()) for name, number in numbers.items())


def _place(logged: LoggedEvent, incarnation: int) -> tuple[Header, ...]:
    """Where the event stands, and the trace that led to it, for a reader to go on with."""
    place = place_headers(logged.position, logged.recorded.version, incarnation)
    trace = logged.recorded.cause.trace
    if trace is None:
        return place
    return (*place, *((name, text.encode()) for name, text in trace.headers().items()))
