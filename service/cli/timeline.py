"""``routekeeper timeline``: a deployment's replicas over time, with the decisions that changed them."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, NamedTuple
from uuid import UUID

import typer
from rich.console import Group, RenderableType
from rich.text import Text
from sqlalchemy import Connection

from projections.autoscaling_decisions import AUTOSCALING_DECISIONS_VIEW, AutoscalingDecisionRow, find_decisions
from projections.deployment_fold import DEPLOYMENTS_VIEW
from projections.deployments import DeploymentRow, resolve_deployment
from projections.replicas import ReplicaCountsRow, replica_history
from service.cli.describe import decision_of
from service.cli.explanation import in_one_line
from service.cli.moments import LogPoint, check_order, now, past_moment, shown
from service.cli.options import Deployment, Output
from service.cli.output import Answer, Column, OutputFormat, clean, give, note, table
from service.cli.past import seeing
from service.cli.plot_page import write_page
from service.cli.plot_text import draw_text, legend, sign_of
from service.cli.plots import Mark, Plot, Series, write_png
from service.cli.reading import deleted_before, reading_views
from service.settings import Settings, load_settings

#: Most changes of the numbers, and most decisions, of one timeline (count): the newest.
_MOST: Final = 20_000
#: Most decisions that a terminal lists below the drawing (count): the newest.
_LISTED: Final = 20
#: What a timeline is drawn from.
_VIEWS: Final = (DEPLOYMENTS_VIEW, AUTOSCALING_DECISIONS_VIEW)

_HELP: Final = "this time: ISO 8601 (UTC), or 5m, 2h, 3d ago."
From = Annotated[
    datetime | None,
    typer.Option("--from", metavar="TIME", parser=past_moment, help=f"Not before {_HELP} Unset: its creation."),
]
To = Annotated[
    datetime | None,
    typer.Option("--to", metavar="TIME", parser=past_moment, help=f"Not after {_HELP} Unset: now, or its end."),
]
Html = Annotated[Path | None, typer.Option("--html", dir_okay=False, metavar="FILE", help="Write a page with a plot.")]
Png = Annotated[
    Path | None,
    typer.Option("--png", dir_okay=False, metavar="FILE", help="Write a picture; needs routekeeper\\[plots]."),
]


class Timeline(NamedTuple):
    """What happened to a deployment's numbers of replicas in a time; the first counts may be from before it."""

    deployment_id: UUID
    name: str
    begin: datetime
    end: datetime
    counts: Sequence[ReplicaCountsRow]
    decisions: Sequence[AutoscalingDecisionRow]


def timeline(
    deployment: Deployment,
    *,
    since: From = None,
    until: To = None,
    html: Html = None,
    png: Png = None,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Draw how many replicas a deployment wanted, had, and had healthy over time, with scaling decisions marked.

    In the terminal, or as a page or a picture.
    """
    if since is not None and until is not None:
        check_order(LogPoint(moment=since), LogPoint(moment=until))
    settings = load_settings()
    found = _found(settings, deployment, since, until)
    plot = plot_of(found)
    if html is not None:
        write_page(html, f"Timeline of {plot.title}", [plot])
    if png is not None:
        write_png([plot], png)
    for file in filter(None, (html, png)):
        note(f"wrote {file}")
    if (html is None and png is None) or output is not OutputFormat.TABLE:
        most = max(len(found.counts), len(found.decisions))
        remark = f"only the newest {_MOST} changes are shown: see --from" if most >= _MOST else ""
        give(Answer(found._asdict(), lambda width: _drawn(found, plot, width), remark), output)


def _found(settings: Settings, deployment: str, since: datetime | None, until: datetime | None) -> Timeline:
    """Collect a timeline from the live views, or from the log where they do not go back so far any more."""
    with reading_views(settings) as connection:
        row = resolve_deployment(connection, deployment)
        deleted = deleted_before(connection, *_VIEWS)
        if deleted is None or max(since or row.created_at, row.created_at) >= deleted:
            return timeline_of(connection, row, since, until)
    reference = str(row.id)
    with seeing(settings, LogPoint(moment=now()), of=reference, views=_VIEWS) as seen:
        return timeline_of(seen.connection, resolve_deployment(seen.connection, reference), since, until)


def timeline_of(connection: Connection, row: DeploymentRow, since: datetime | None, until: datetime | None) -> Timeline:
    """Collect what the views hold of a time. Raises ``typer.BadParameter`` for one that ends before it begins."""
    begin = max(since or row.created_at, row.created_at)
    end = until or (row.updated_at if row.lifecycle.is_ending else max(now(), row.updated_at))
    if end <= begin:
        last = f"--to {shown(end)}" if until else f"its end, {shown(end)},"
        first = f"--from {shown(begin)}" if begin == since else f"its creation, {shown(begin)}"
        raise typer.BadParameter(f"{last} is not after {first}")
    before = replica_history(connection, row.id, until=begin, limit=1)
    counts = replica_history(connection, row.id, since=begin, until=end, limit=_MOST)
    decisions = find_decisions(connection, deployment_id=row.id, since=begin, until=end, limit=_MOST)
    known = {each.position for each in counts}
    return Timeline(
        deployment_id=row.id,
        name=row.name,
        begin=begin,
        end=end,
        counts=[*(each for each in before if each.position not in known), *reversed(counts)],
        decisions=decisions[::-1],
    )


def plot_of(found: Timeline) -> Plot:
    """The plot of a timeline."""
    return Plot(
        title=f"{clean(found.name)}  {found.deployment_id}",
        unit="replicas",
        begin=found.begin,
        end=found.end,
        series=(
            Series(name="desired", points=[(row.at, row.target) for row in found.counts]),
            Series(name="active", points=[(row.at, row.active) for row in found.counts]),
            Series(name="healthy", points=[(row.at, row.healthy) for row in found.counts]),
        ),
        marks=[Mark(at=row.at, label=in_one_line(decision_of(row)), rises=_rises(row)) for row in found.decisions],
    )


def _rises(row: AutoscalingDecisionRow) -> bool | None:
    return None if row.desired == row.previous else row.desired > row.previous


def _drawn(found: Timeline, plot: Plot, width: int) -> RenderableType:
    columns: Sequence[Column[Mark]] = (
        Column(header="", cell=sign_of),
        Column(header="TIME (UTC)", cell=lambda mark: shown(mark.at)),
        Column(header="DECISION", cell=lambda mark: mark.label, wrap=True),
    )
    listed = table(plot.marks[-_LISTED:], columns, width=width, empty="No scaling decisions in this time.")
    more = len(plot.marks) - _LISTED
    left_out = [Text(f"{more} earlier decisions not listed", style="dim")] if more > 0 else []
    head = Text(f"{plot.title}, {shown(found.begin)} to {shown(found.end)} UTC", style="bold")
    return Group(head, "", draw_text(plot, width), legend(plot), "", *left_out, listed)
