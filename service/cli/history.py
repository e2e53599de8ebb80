"""``routekeeper history``: everything that happened to one deployment, from the event log."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from rich.console import RenderableType
from rich.text import Text

from domain.recorded import AnyEvent, LoggedEvent, OperationCause, RecordCause
from projections.errors import UnknownDeployment
from projections.querying import DEFAULT_LIMIT
from service.cli.moments import shown
from service.cli.options import Deployment, Limit, Output, Since
from service.cli.output import Answer, Column, OutputFormat, clean, give, table
from service.cli.reading import deployment_id, reading_log
from service.cli.scaling_words import number
from service.cli.words import describe_cause, describe_event
from service.settings import Settings, load_settings

#: From which width on causes stand beside events, and not below (characters).
_BESIDE = 140


class HistoryEntry(NamedTuple):
    """One event as programs get it; ``event`` holds all its fields."""

    position: int
    event_id: str
    version: int
    at: datetime
    type: str
    description: str
    event: AnyEvent
    cause: RecordCause | OperationCause


def history(
    deployment: Deployment,
    *,
    since: Since = None,
    limit: Limit = DEFAULT_LIMIT,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Show everything that happened to a deployment, oldest first, and what caused it.

    A cause is a Kafka record, as TOPIC/PARTITION@OFFSET with who sent it, or an operation of Routekeeper's own.

    With --limit the newest events are shown.
    """
    settings = load_settings()
    wanted = deployment_id(settings, deployment)
    events = asyncio.run(_stream(settings, wanted))
    if not events:
        raise UnknownDeployment(deployment)
    recent = [logged for logged in events if since is None or logged.recorded.event.at >= since]
    entries = [history_entry(logged) for logged in recent[-limit:]]
    left = len(events) - len(entries)
    remark = f"{number(left, 'earlier event')} not shown: see --limit and --since" if left else ""
    give(Answer([entry._asdict() for entry in entries], lambda width: history_table(entries, width), remark), output)


async def _stream(settings: Settings, wanted: UUID) -> Sequence[LoggedEvent]:
    with reading_log(settings) as log:
        return await log.stream(wanted)


def history_entry(logged: LoggedEvent) -> HistoryEntry:
    """What there is to say about one event."""
    recorded = logged.recorded
    return HistoryEntry(
        position=logged.position,
        event_id=recorded.event_id,
        version=recorded.version,
        at=recorded.event.at,
        type=recorded.event.name,
        description=describe_event(recorded.event),
        event=recorded.event,
        cause=recorded.cause,
    )


def history_table(entries: Sequence[HistoryEntry], width: int) -> RenderableType:
    """Draw events, one a row."""
    beside = width >= _BESIDE
    columns: Sequence[Column[HistoryEntry]] = (
        Column(header="POSITION", cell=lambda entry: str(entry.position), right=True),
        Column(header="TIME (UTC)", cell=lambda entry: shown(entry.at)),
        Column(header="VERSION", cell=lambda entry: str(entry.version), right=True, from_width=_BESIDE),
        Column(header="EVENT", cell=lambda entry: _event(entry, with_cause=not beside), wrap=True),
        Column(header="CAUSE", cell=_cause, from_width=_BESIDE, wrap=True),
    )
    return table(entries, columns, width=width, empty="Nothing happened in this time.")


def _event(entry: HistoryEntry, *, with_cause: bool) -> Text:
    happened = Text(clean(entry.description))
    return happened + Text("\n") + _cause(entry) if with_cause else happened


def _cause(entry: HistoryEntry) -> Text:
    return Text(clean(describe_cause(entry.cause)), style="dim")
