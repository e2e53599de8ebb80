"""``routekeeper diff``: what changed between two moments, deployment by deployment."""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated, Final, NamedTuple
from uuid import UUID

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from adapters.event_store.event_log import RecorderEventLog
from domain.events import DeploymentCreated
from domain.pauses import PAUSES_ID
from domain.recorded import SystemEvent
from service.cli.difference import Change, DecisionBetween, Difference, difference_of
from service.cli.moments import LogPoint, check_order, log_point, reversed_span, shown
from service.cli.options import MOST_ROWS, DeploymentFilter, Limit, Output
from service.cli.output import Answer, Column, OutputFormat, clean, facts, give, section, short_ids, table
from service.cli.past import Cache, deployment_at, moment_of, position_of
from service.cli.pause_changes import PauseChange, pause_changes
from service.cli.reading import reading_log
from service.cli.scaling_words import number
from service.settings import load_settings

#: Events that are read together (count), and most routes that are named on one line (count).
_BATCH: Final = 2_000
_NAMED: Final = 10

_POINT: Final = "a time (ISO 8601, UTC where no zone is given; or 5m, 2h, 3d ago) or a position of the log."
From = Annotated[LogPoint, typer.Option("--from", metavar="TIME|POSITION", parser=log_point, help=f"Before: {_POINT}")]
To = Annotated[
    LogPoint | None,
    typer.Option("--to", metavar="TIME|POSITION", parser=log_point, help=f"After: {_POINT} Unset: now."),
]
Decisions = Annotated[
    int, typer.Option(min=0, max=MOST_ROWS, metavar="COUNT", help="How many of the newest decisions of a deployment.")
]


class Differences(NamedTuple):
    """Between two positions and their moments: the deployments that changed, in the order of their first change.

    Pauses of effects are apart, because one may be of many deployments.
    """

    from_position: int
    from_at: datetime
    to_position: int
    to_at: datetime
    deployments: Sequence[Difference]
    pauses: Sequence[PauseChange]


def diff(
    *,
    since: From,
    until: To = None,
    deployment: DeploymentFilter = None,
    decisions: Decisions = 20,
    limit: Limit = 100,
    cache: Cache = None,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Show what changed between two moments: of each deployment its counts, rules, endpoint and lifecycle.

    Routes that came and went, the scaling decisions between with their arithmetic, and whose effects were paused.

    Only the events between are read, and the streams of the deployments that they are about.
    """
    settings = load_settings()
    only = None if deployment is None else deployment_at(settings, deployment, until, cache)

    async def go() -> tuple[Differences, int]:
        with reading_log(settings) as log:
            return await differences(log, since, until, only=only, decisions=decisions, limit=limit)

    found, left_out = asyncio.run(go())
    remark = f"{number(left_out, 'more deployment')} changed: see --limit" if left_out else ""
    give(Answer(found._asdict(), lambda width: _drawn(found, width), remark), output)


async def differences(
    log: RecorderEventLog,
    since: LogPoint,
    until: LogPoint | None,
    *,
    only: UUID | None,
    decisions: int,
    limit: int,
) -> tuple[Differences, int]:
    """What changed, of at most ``limit`` deployments, and how many others did. Raises ``typer.BadParameter``."""
    check_order(since, until)
    before = await position_of(log, since)
    to = until or LogPoint(position=await log.head())
    after = await position_of(log, to)
    if after < before:
        raise reversed_span(since, to)
    changed = [only] if only else await _changed(log, before, after)
    found = []
    for deployment in changed[:limit]:
        events = await log.stream(deployment)
        if difference := difference_of(events, after=before, until=after, decisions=decisions):
            found.append(difference)
    pauses = await _pauses(log, before, after, only)
    moments = await moment_of(log, since, before), await moment_of(log, to, after)
    return Differences(before, moments[0], after, moments[1], found, pauses), max(0, len(changed) - limit)


async def _pauses(log: RecorderEventLog, before: int, after: int, only: UUID | None) -> Sequence[PauseChange]:
    """What was paused and resumed between two positions; with ``only`` what holds for that deployment."""
    changes = pause_changes(await log.stream(PAUSES_ID), after=before, until=after)
    if only is None or not changes:
        return changes
    created = next((each.recorded.event for each in await log.stream(only)), None)
    group = created.resource_group if isinstance(created, DeploymentCreated) else None
    return [each for each in changes if each.holds_for(only, group)]


async def _changed(log: RecorderEventLog, before: int, after: int) -> Sequence[UUID]:
    """The deployments that something happened to between two positions."""
    changed: dict[UUID, None] = {}
    position = before
    while position < after and (events := await log.read(after=position, limit=_BATCH)):
        for logged in events:
            if logged.position <= after and not isinstance(logged.recorded.event, SystemEvent):
                changed.setdefault(logged.recorded.stream_id)
        position = events[-1].position
    return list(changed)


def _drawn(found: Differences, width: int) -> RenderableType:
    begin = f"{shown(found.from_at)} UTC (position {found.from_position})"
    head = (
        f"From {begin if found.from_position else 'before the first event'} "
        f"to {shown(found.to_at)} UTC (position {found.to_position}):"
    )
    if not found.deployments and not found.pauses:
        return Group(Text(head), "", Text("Nothing changed.", style="dim"))
    parts: list[RenderableType] = [Text(head)]
    if found.pauses:
        parts += ["", section("Pauses of effects", _pauses_table(found.pauses, width - 2))]
    for each in found.deployments:
        parts += ["", section(_title(each), Group(*_parts(each, width - 2)))]
    return Group(*parts)


def _pauses_table(pauses: Sequence[PauseChange], width: int) -> RenderableType:
    columns: Sequence[Column[PauseChange]] = (
        Column(header="POSITION", cell=lambda row: str(row.position), right=True),
        Column(header="TIME (UTC)", cell=lambda row: shown(row.at)),
        Column(header="WHAT", cell=lambda row: clean(row.in_words), wrap=True),
    )
    return table(pauses, columns, width=width, empty="none")


def _title(each: Difference) -> str:
    new = ", new" if each.is_new else ""
    return f"{clean(each.name)}  {each.deployment_id}  ({number(each.events, 'event')}{new})"


def _parts(each: Difference, width: int) -> Iterator[RenderableType]:
    columns: Sequence[Column[Change]] = (
        Column(header="WHAT", cell=lambda change: change.what),
        Column(header="BEFORE", cell=lambda change: change.before, wrap=True),
        Column(header="AFTER", cell=lambda change: change.after, wrap=True),
    )
    yield table(each.changes, columns, width=width, empty="As it was before.")
    if each.routes_come or each.routes_gone:
        yield facts([("Routes come", _named(each.routes_come)), ("Routes gone", _named(each.routes_gone))])
    if each.decisions:
        decisions: Sequence[Column[DecisionBetween]] = (
            Column(header="POSITION", cell=lambda row: str(row.position), right=True),
            Column(header="TIME (UTC)", cell=lambda row: shown(row.at)),
            Column(header="DECISION", cell=lambda row: row.explanation, wrap=True),
        )
        yield table(each.decisions, decisions, width=width, empty="none")
    if each.decisions_left_out:
        yield Text(f"{number(each.decisions_left_out, 'earlier decision')} not shown: see --decisions", style="dim")


def _named(routes: Sequence[UUID]) -> str:
    if not routes:
        return "none"
    named = ", ".join(map(short_ids(routes), routes[:_NAMED]))
    more = f", and {len(routes) - _NAMED} more" if len(routes) > _NAMED else ""
    return f"{len(routes)}: {named}{more}"
