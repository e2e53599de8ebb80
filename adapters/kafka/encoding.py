"""Writes records for the input topics: for the command line, for whatever runs the replicas, and for tests."""

from datetime import datetime
from typing import NamedTuple

from adapters.kafka.cloud_events import RECORD_FOR, Content, placed_by, type_name
from adapters.kafka.topics import Topics
from domain.autoscaling.samples import MetricsReport
from domain.commands import ExternalCommand, ReportRoutes
from domain.pauses import PauseCommand


class EncodedRecord(NamedTuple):
    """Key and value as they go to Kafka."""

    key: bytes
    value: bytes


def encode_command(
    command: ExternalCommand | PauseCommand,
    *,
    source: str,
    id: str,  # noqa: A002 - CloudEvents' own name
    actor: str,
    time: datetime,
) -> EncodedRecord:
    """Write a command, or a report of routes, as a record. Raises pydantic's ``ValidationError`` on bad attributes."""
    return _encode(command, source=source, id=id, actor=actor, time=time)


def encode_metrics(
    report: MetricsReport,
    *,
    source: str,
    id: str,  # noqa: A002 - CloudEvents' own name
    time: datetime,
) -> EncodedRecord:
    """Write metric samples as a record. Raises pydantic's ``ValidationError`` on bad attributes."""
    return _encode(report, source=source, id=id, actor="", time=time)


def topic_of(content: Content, topics: Topics) -> str:
    """The one topic that this kind of content belongs on."""
    match content:
        case MetricsReport():
            return topics.metrics
        case ReportRoutes():
            return topics.routes
        case _:
            return topics.commands


def _encode(content: Content, **attributes: str | datetime) -> EncodedRecord:
    model = RECORD_FOR[type(content)]
    key = str(placed_by(content))
    fixed = {"specversion": "1.0", "type": type_name(model), "subject": key, "datacontenttype": "application/json"}
    envelope = model.model_validate({**fixed, **attributes, "data": content})
    return EncodedRecord(key.encode(), envelope.model_dump_json(exclude_none=True).encode())
