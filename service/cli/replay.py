"""``routekeeper replay``: the views as they were, rebuilt from the log in a database of their own."""

import asyncio
import tempfile
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, NamedTuple
from uuid import UUID

import typer
from rich.console import Console, Group, RenderableType
from sqlalchemy import Engine

from adapters.event_store.event_log import RecorderEventLog
from projections.catalogue import VIEWS
from projections.database import open_database, snapshot
from projections.deployment_fold import DEPLOYMENTS_VIEW
from projections.deployments import DeploymentRow, find_deployments
from projections.past import fold_past
from projections.querying import DEFAULT_LIMIT
from projections.replay import replay as fold_until
from projections.replicas import ReplicaCountsRow
from projections.routes import RouteRow, find_routes
from service.cli.errors import NotAScratchDatabase
from service.cli.get import newest_counts
from service.cli.moments import LogPoint, log_point, shown
from service.cli.options import Limit, Output
from service.cli.output import Answer, OutputFormat, give, limited, section
from service.cli.past import moment_of, position_of
from service.cli.reading import deployment_names, reading_log
from service.cli.tables import deployments_table, replicas_table, routes_table
from service.settings import Settings, load_settings

_SQLITE_MAGIC = b"SQLite format 3\0"

Until = Annotated[
    LogPoint,
    typer.Option(
        metavar="TIME|POSITION",
        parser=log_point,
        help="A time (ISO 8601, UTC where no zone is given; or 5m, 2h, 3d ago), or an integer: a position of the log.",
    ),
]
ScratchFile = Annotated[
    Path | None,
    typer.Option(
        dir_okay=False,
        metavar="FILE",
        help="Keep the rebuilt views in this SQLite file; a later replay goes on from there.",
    ),
]


class Past(NamedTuple):
    """The views at ``position``; ``at`` is the time that was asked for, else when the event at the position happened.

    At position 0, before the first event, there was nothing.
    """

    position: int
    at: datetime | None
    deployments: Sequence[DeploymentRow]
    routes: Sequence[RouteRow]
    replicas: Sequence[ReplicaCountsRow]


def replay(
    *,
    until: Until,
    database: ScratchFile = None,
    everything: Annotated[
        bool, typer.Option("--all", "-a", metavar="", help="Also what was destroyed or over by then.")
    ] = False,
    limit: Limit = DEFAULT_LIMIT,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Show deployments, routes and replicas as they were at a time or a position.

    The log is folded anew, by the same code as the live views, into a database of its own.

    A time means everything that was committed at or before it.
    """
    settings = load_settings()
    with tempfile.TemporaryDirectory(prefix="routekeeper-replay-") as folder:
        if database is not None:
            _refuse_foreign(database, settings)
        scratch = database or Path(folder) / "views.db"
        with Console(stderr=True).status("Folding the log…"):
            past, names = asyncio.run(
                _replayed(settings, until, scratch, kept=database is not None, everything=everything, limit=limit)
            )
    give(Answer(past._asdict(), lambda width: _drawn(past, names, width), _limited(past, limit)), output)


async def _replayed(
    settings: Settings, until: LogPoint, scratch: Path, *, kept: bool, everything: bool, limit: int
) -> tuple[Past, Mapping[UUID, str]]:
    with reading_log(settings) as log:
        position = await position_of(log, until)
        at = await moment_of(log, until, position) if until.moment or position else None
        engine = await _fold(settings, log, position, scratch, kept=kept)
        try:
            with snapshot(engine) as connection:
                deployments = find_deployments(connection, destroyed=everything, limit=limit)
                routes = find_routes(connection, ended=everything, limit=limit)
                replicas = newest_counts(connection, deployments)
                names = deployment_names(
                    connection, {row.deployment_id for row in routes} | {d.id for d in deployments}
                )
        finally:
            engine.dispose()
    return Past(position, at, deployments, routes, replicas), names


async def _fold(settings: Settings, log: RecorderEventLog, position: int, scratch: Path, *, kept: bool) -> Engine:
    """Fold all views into a database that is kept, else from the nearest checkpoint what is shown of them."""
    if not kept:
        history = settings.history
        return await fold_past(
            log,
            (DEPLOYMENTS_VIEW,),
            until=position,
            scratch=scratch,
            cache=settings.checkpoints_dir,
            limits=history.checkpoints,
        )
    engine = open_database(f"sqlite:///{scratch}")
    try:
        await fold_until(log, VIEWS, until=position, engine=engine)
    except BaseException:
        # Also where the user ends it by Ctrl-C.
        engine.dispose()
        raise
    return engine


def _limited(past: Past, limit: int) -> str:
    return limited(max(len(past.deployments), len(past.routes)), limit)


def _refuse_foreign(file: Path, settings: Settings) -> None:
    """Raise :class:`NotAScratchDatabase` for a file that this command must not fold into."""
    taken = (settings.log_file, settings.data_dir / "views.db")
    if any(file.exists() and each.exists() and file.samefile(each) for each in taken):
        raise NotAScratchDatabase(f"--database {file} is in use by the worker: name another file")
    if not file.parent.is_dir():
        raise NotAScratchDatabase(f"--database {file}: there is no folder {file.parent}")
    if file.exists() and file.stat().st_size:
        with file.open("rb") as opened:
            if opened.read(len(_SQLITE_MAGIC)) != _SQLITE_MAGIC:
                raise NotAScratchDatabase(f"--database {file} is no SQLite database")


def _drawn(past: Past, names: Mapping[UUID, str], width: int) -> RenderableType:
    if past.at is None or not past.position:
        return "Nothing had happened by then."
    inner, at = width - 2, past.at
    return Group(
        f"As of {shown(at)} UTC, position {past.position} of the log:",
        "",
        section("Deployments", deployments_table(past.deployments, inner, at)),
        "",
        section("Routes", routes_table(past.routes, names, inner, at)),
        "",
        section("Replicas", replicas_table(past.replicas, names, inner)),
    )
