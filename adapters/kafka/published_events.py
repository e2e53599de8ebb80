"""Events as they are published: CloudEvents 1.0 in structured JSON mode, with what caused them as extensions."""

from dataclasses import dataclass
from typing import Annotated, Final, Literal
from uuid import UUID

import orjson
from pydantic import AwareDatetime, BaseModel, Field

from adapters.kafka.desired_routes import desired_routes
from domain.recorded import LoggedEvent, OperationCause, RecordCause

Header = tuple[str, bytes]

#: What tells a CloudEvent in structured mode from other records.
CONTENT_TYPE: Final[Header] = ("content-type", b"application/cloudevents+json; charset=UTF-8")


class EventAttributes(BaseModel):
    """Everything of a published event but its ``data``, which is the event itself."""

    specversion: Literal["1.0"] = "1.0"
    id: Annotated[str, Field(description="STREAM:VERSION, the same each time the event is published.")]
    source: Literal["routekeeper"] = "routekeeper"
    type: Annotated[str, Field(description="The stable name of the event.")]
    subject: Annotated[UUID, Field(description="The deployment id, or the stream that refused records are noted in.")]
    time: AwareDatetime
    datacontenttype: Literal["application/json"] = "application/json"
    causekind: Annotated[Literal["record", "operation"], Field(description="What led to the event.")]
    causetopic: Annotated[str | None, Field(description="Where the record stood that led to it.")] = None
    causeepoch: Annotated[str | None, Field(description="The incarnation of that topic.")] = None
    causepartition: int | None = None
    causeoffset: Annotated[str | None, Field(description="A decimal number; CloudEvents' integers are too short.")] = (
        None
    )
    causesource: Annotated[str | None, Field(description="Who sent the record, by its own account.")] = None
    causeid: Annotated[str | None, Field(description="What its source calls the record.")] = None
    causetype: str | None = None
    actor: Annotated[str | None, Field(description="On whose behalf the record was sent.")] = None
    causeoperation: Annotated[str | None, Field(description="The operation that led to it.")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingRecord:
    """A record to be sent; ``placed_by`` is the id whose hash names the partition, and the record's key."""

    placed_by: UUID
    value: bytes | None
    headers: tuple[Header, ...]

    @property
    def key(self) -> bytes:
        return str(self.placed_by).encode()


def event_record(logged: LoggedEvent) -> OutgoingRecord:
    """The record that publishes an event."""
    recorded = logged.recorded
    attributes = EventAttributes(
        id=recorded.event_id,
        type=recorded.event.name,
        subject=recorded.stream_id,
        time=recorded.event.at,
        **_cause(recorded.cause),
    )
    data = orjson.Fragment(recorded.event.model_dump_json())
    value = orjson.dumps({**attributes.model_dump(mode="json", exclude_none=True), "data": data})
    return OutgoingRecord(placed_by=recorded.stream_id, value=value, headers=(CONTENT_TYPE, *_place(logged)))


def desired_route_records(logged: LoggedEvent) -> list[OutgoingRecord]:
    """The records that say what routes should be since the event; one without value says that a route is over."""
    return [
        OutgoingRecord(placed_by=route_id, value=desired and desired.model_dump_json().encode(), headers=_place(logged))
        for route_id, desired in desired_routes(logged.recorded)
    ]


def _place(logged: LoggedEvent) -> tuple[Header, ...]:
    """What lets a reader ignore what it has seen."""
    return (("position", str(logged.position).encode()), ("version", str(logged.recorded.version).encode()))


def _cause(cause: RecordCause | OperationCause) -> dict[str, str | int | None]:
    if isinstance(cause, OperationCause):
        return {"causekind": "operation", "causeoperation": cause.operation}
    return {
        "causekind": "record",
        "causetopic": cause.topic,
        "causeepoch": cause.epoch,
        "causepartition": cause.partition,
        "causeoffset": str(cause.offset),
        "causesource": cause.source or None,
        "causeid": cause.id or None,
        "causetype": cause.type or None,
        "actor": cause.actor or None,
    }
