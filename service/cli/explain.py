"""``routekeeper explain``: why a deployment has the replicas that it has, from the event log."""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from domain.recorded import LoggedEvent
from projections.errors import UnknownDeployment
from service.cli.explanation import Afterwards, ExplainedDecision, Explanation, PastDecision, explanation_of
from service.cli.moments import LogPoint, ago, now, shown
from service.cli.options import MOST_ROWS, Deployment, Output
from service.cli.output import Answer, Column, OutputFormat, clean, facts, give, section, short_ids, table
from service.cli.past import At, Cache, deployment_at, not_yet
from service.cli.reading import reading_log
from service.cli.scaling_words import number
from service.cli.tables import conditions_table
from service.cli.words import describe_cause
from service.settings import Settings, load_settings

#: Most routes that are named on one line (count).
_NAMED: Final = 10

Earlier = Annotated[int, typer.Option(min=0, max=MOST_ROWS, metavar="COUNT", help="Most earlier decisions to list.")]


def explain(
    deployment: Deployment,
    *,
    at: At = None,
    cache: Cache = None,
    limit: Earlier = 5,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Say why a deployment has the replicas that it has: the last scaling decision in words and numbers.

    What each rule saw and came to, and what stabilization, scaling policies, bounds and a pause made of it.

    With --at the last decision that was committed by then; what came after it does not show.
    """
    settings = load_settings()
    wanted = deployment_at(settings, deployment, at, cache)
    events, created_at = asyncio.run(_until(settings, wanted, at))
    if created_at is None:
        raise UnknownDeployment(deployment)
    found = explanation_of(events, limit=limit)
    if found is None:
        raise not_yet(deployment, at or LogPoint(moment=now()), created_at)
    remark = f"{number(found.left_out, 'earlier decision')} not shown: see --limit" if found.left_out else ""
    # Ages are as of then, so that they say how it looked then.
    then = (at.moment or events[-1].recorded.event.at) if at else now()
    give(Answer(found, lambda width: _drawn(found, width, then), remark), output)


async def _until(
    settings: Settings, wanted: UUID, at: LogPoint | None
) -> tuple[Sequence[LoggedEvent], datetime | None]:
    """The deployment's events up to a point, and when the first of all happened, if there are any."""
    with reading_log(settings) as log:
        events = await log.stream(wanted)
        created_at = events[0].recorded.event.at if events else None
        if at is None:
            return events, created_at
        last = at.position if at.moment is None else await log.position_at(at.moment)
        return [logged for logged in events if last is not None and logged.position <= last], created_at


def _drawn(found: Explanation, width: int, at: datetime) -> RenderableType:
    inner = width - 2
    head = f"{clean(found.name)}  {found.deployment_id}"
    decision = found.decision
    if decision is None:
        return section(head, Text(clean(found.sentence)))
    parts: list[RenderableType] = [
        section(head, Group(Text(clean(decision.explanation)), "", facts(_facts(decision, at)))),
    ]
    if decision.conditions:
        parts += ["", section("Conditions", conditions_table(decision.conditions, inner, at))]
    if found.afterwards:
        title = f"Since then, to {found.target_replica_count} wanted"
        parts += ["", section(title, _afterwards_table(found.afterwards, inner))]
    parts += ["", section("Earlier decisions", _earlier_table(found.earlier, inner))]
    return Group(*parts)


def _facts(decision: ExplainedDecision, at: datetime) -> Iterator[tuple[str, str]]:
    yield "Decided", ago(decision.at, at)
    yield "Event", f"{decision.event_id}, position {decision.position}"
    yield "Cause", describe_cause(decision.cause)
    if decision.watermark is not None:
        yield "Newest sample", ago(decision.watermark, at)
    if decision.missing_routes:
        yield "No sample of", _named(decision.missing_routes)
    if decision.unready_routes:
        yield "Not ready", _named(decision.unready_routes)
    if decision.due_at is not None:
        yield "Looked at again", ago(decision.due_at, at)


def _named(routes: Sequence[UUID]) -> str:
    named = ", ".join(map(short_ids(routes), routes[:_NAMED]))
    return named + (f" and {len(routes) - _NAMED} more" if len(routes) > _NAMED else "")


def _afterwards_table(rows: Sequence[Afterwards], width: int) -> RenderableType:
    columns: Sequence[Column[Afterwards]] = (
        Column(header="POSITION", cell=lambda row: str(row.position), right=True),
        Column(header="TIME (UTC)", cell=lambda row: shown(row.at)),
        Column(header="EVENT", cell=lambda row: row.description, wrap=True),
    )
    return table(rows, columns, width=width, empty="nothing")


def _earlier_table(rows: Sequence[PastDecision], width: int) -> RenderableType:
    columns: Sequence[Column[PastDecision]] = (
        Column(header="POSITION", cell=lambda row: str(row.position), right=True),
        Column(header="TIME (UTC)", cell=lambda row: shown(row.at)),
        Column(header="DECISION", cell=lambda row: row.explanation, wrap=True),
    )
    return table(rows, columns, width=width, empty="none")
