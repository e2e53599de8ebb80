"""The views as of now, or as they were at a point of the log: what ``--at`` means."""

import asyncio
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, NamedTuple
from uuid import UUID

import typer
from rich.console import Console
from sqlalchemy import Connection, Engine

from adapters.event_store.event_log import RecorderEventLog
from domain.pauses import PAUSES_ID
from projections.catalogue import VIEWS
from projections.database import snapshot
from projections.deployments import find_candidates, resolve_deployment
from projections.errors import AmbiguousDeployment, UnknownDeployment
from projections.past import fold_past, fold_streams
from projections.placement import find_view_positions
from projections.view import View
from service.cli.errors import NotYet, ViewsMissing, ViewsUnreadable
from service.cli.moments import LogPoint, log_point, now, shown
from service.cli.reading import reading_log, reading_views
from service.settings import Settings

#: Most deployments that are told apart by their streams (count); a reference that more answer to is looked up in a
#: fold of the whole log.
_CANDIDATES: Final = 50

At = Annotated[
    LogPoint | None,
    typer.Option(
        metavar="TIME|POSITION",
        parser=log_point,
        help="As of a time (ISO 8601, UTC where no zone is given; or 5m, 2h, 3d ago) or a position of the log.",
    ),
]
Cache = Annotated[
    Path | None,
    typer.Option(
        "--cache",
        file_okay=False,
        metavar="DIR",
        help="Where --at keeps checkpoints; may be deleted at any time. Unset: as the settings say.",
    ),
]


class Seen(NamedTuple):
    """The views as of the moment ``at``."""

    connection: Connection
    at: datetime


@contextmanager
def seeing(
    settings: Settings,
    at: LogPoint | None,
    *,
    of: str | None = None,
    views: Sequence[View] = VIEWS,
    cache: Path | None = None,
) -> Iterator[Seen]:
    """Open the live views, or with ``at`` the rows that ``views`` held then, folded anew from the log.

    With ``of`` only those of the deployment with this id, id prefix or name need to be there; where it is unknown then,
    but known by now, that becomes :class:`NotYet`. Raises what
    :func:`~service.cli.reading.reading_views` and :func:`~service.cli.reading.reading_log` raise.
    """
    if at is None:
        with reading_views(settings) as connection:
            yield Seen(connection, now())
        return
    with tempfile.TemporaryDirectory(prefix="routekeeper-past-") as folder:
        with Console(stderr=True).status("Folding the log…"):
            engine, then = asyncio.run(_folded(settings, at, of, views, cache, Path(folder) / "views.db"))
        try:
            with snapshot(engine) as connection:
                yield Seen(connection, then)
        except UnknownDeployment:
            created_at = None if of is None else _created_at(settings, of)
            if created_at is None:
                raise
            raise not_yet(str(of), at, created_at) from None
        finally:
            engine.dispose()


def deployment_at(settings: Settings, reference: str, at: LogPoint | None, cache: Path | None = None) -> UUID:
    """Find out which deployment a reference means, or meant then. A whole id is taken as it is.

    Raises :class:`~projections.errors.UnknownDeployment`, :class:`~projections.errors.AmbiguousDeployment`, and what
    :func:`seeing` raises.
    """
    try:
        return UUID(reference)
    except ValueError:
        pass
    with suppress(UnknownDeployment, NotYet), seeing(settings, at, of=reference, views=VIEWS[:1], cache=cache) as seen:
        return resolve_deployment(seen.connection, reference).id
    # What only came later has an id all the same, and whoever asks about it says what that means.
    with reading_views(settings) as connection:
        return resolve_deployment(connection, reference).id


def not_yet(reference: str, at: LogPoint, created_at: datetime) -> NotYet:
    """That a deployment which there is did not exist at a point, and when it came."""
    return NotYet(
        f"deployment {reference} did not exist yet at {at.in_words}: it was created at {shown(created_at)} UTC"
    )


def _created_at(settings: Settings, reference: str) -> datetime | None:
    """When the deployment came that a reference means by now, if that is known."""
    try:
        with reading_views(settings) as connection:
            return resolve_deployment(connection, reference).created_at
    except (UnknownDeployment, AmbiguousDeployment, ViewsMissing, ViewsUnreadable):
        return None


async def position_of(log: RecorderEventLog, point: LogPoint) -> int:
    """The position of the last event at or before a point, as far as the log goes (0: there is none)."""
    if point.moment is not None:
        return await log.position_at(point.moment)
    return min(point.position or 0, await log.head())


async def moment_of(log: RecorderEventLog, point: LogPoint, position: int) -> datetime:
    """The moment that a point means: its own, or when the event at the position happened."""
    if point.moment is not None:
        return point.moment
    last = await log.read(after=position - 1, limit=1) if position else ()
    return last[0].recorded.event.at if last else now()


async def _folded(
    settings: Settings, at: LogPoint, of: str | None, views: Sequence[View], cache: Path | None, scratch: Path
) -> tuple[Engine, datetime]:
    with reading_log(settings) as log:
        position = await position_of(log, at)
        if (at.position or 0) > position:
            Console(stderr=True).print(f"The log ends at position {position}.")
        then = await moment_of(log, at, position)
        few = None if of is None else await _few(settings, log, of, position)
        if few is not None:
            # What is paused is not in the deployments' own streams.
            streams = [await log.stream(each) for each in (*few, PAUSES_ID)]
            return await fold_streams(streams, views, until=position), then
        history = settings.history
        folder = cache or settings.checkpoints_dir
        engine = await fold_past(log, views, until=position, scratch=scratch, cache=folder, limits=history.checkpoints)
        return engine, then


async def _few(settings: Settings, log: RecorderEventLog, reference: str, position: int) -> Collection[UUID] | None:
    """Those that a reference may have meant at a position; ``None`` where it is better to fold the whole log."""
    candidates = _candidates(settings, reference, position)
    if candidates is None or len(candidates) > _CANDIDATES:
        return None
    lengths = [await log.stream_version(each) for each in candidates]
    return candidates if sum(lengths) <= settings.history.stream_events else None


def _candidates(settings: Settings, reference: str, position: int) -> Collection[UUID] | None:
    """All deployments that ever had this id, id prefix or name, from live views that have come so far."""
    try:
        whole = UUID(reference)
    except ValueError:
        whole = None
    try:
        with reading_views(settings) as connection:
            reached = [
                row.position for row in find_view_positions(connection) if row.live and row.view == VIEWS[0].name
            ]
            if reached and reached[0] >= position:
                found = find_candidates(connection, reference, limit=_CANDIDATES + 1)
                return {whole, *found} if whole else found
    except (ViewsMissing, ViewsUnreadable):
        pass
    # An id is no name unless somebody chose it for one.
    return None if whole is None else {whole}


def not_with_watch(at: LogPoint | None, *, watch: bool) -> None:
    """Raise ``typer.BadParameter`` where both are asked for: the past does not change."""
    if at is not None and watch:
        raise typer.BadParameter("--watch and --at do not go together: the past does not change")
