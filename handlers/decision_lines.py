"""A log line for each event that was decided, with what finds it again: its id, its cause and its trace."""

import logging

from domain.events import CommandHadNoEffect, RouteStatusReported
from domain.recorded import AnyEvent, OperationCause, RecordCause, RecordedEvent, SystemEvent
from handlers.commit import Commit

log = logging.getLogger(__name__)


def log_decisions(commit: Commit) -> None:
    """Tell of each committed event; listens to commits, and builds nothing that nobody reads."""
    for recorded in commit.events:
        level = _level(recorded.event)
        if log.isEnabledFor(level):
            log.log(level, "Decided %s", recorded.event.name, extra=_fields(recorded))


def _level(event: AnyEvent) -> int:
    """What replicas report by the thousands would drown what somebody wanted, or what was done about it."""
    return logging.DEBUG if isinstance(event, RouteStatusReported | CommandHadNoEffect) else logging.INFO


def _fields(recorded: RecordedEvent) -> dict[str, object]:
    cause = recorded.cause
    fields: dict[str, object] = {
        "action": "decide",
        "event_id": recorded.event_id,
        "event_type": recorded.event.name,
    }
    if not isinstance(recorded.event, SystemEvent):
        fields["deployment_id"] = recorded.stream_id
    match cause:
        case RecordCause():
            fields |= {"topic": cause.topic, "partition": cause.partition, "offset": cause.offset}
        case OperationCause():
            fields["operation"] = cause.operation
    if cause.trace is not None:
        fields["trace_id"] = cause.trace.trace_id
    return fields
