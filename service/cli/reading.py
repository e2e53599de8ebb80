"""The two things that commands read, the views and the event log, opened so that nothing is ever written to them."""

import sqlite3
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, select
from sqlalchemy.exc import DBAPIError

from adapters.event_store.event_log import RecorderEventLog
from projections.database import snapshot
from projections.deployments import DEPLOYMENTS, resolve_deployment
from projections.pruning import find_horizons
from projections.view import View
from service.cli.errors import LogMissing, ViewsMissing, ViewsUnreadable
from service.cli.moments import shown
from service.settings import Settings
from service.stores import StoreMissing, stores_of


@contextmanager
def reading_views(settings: Settings) -> Iterator[Connection]:
    """Open the live views as of one moment. Raises :class:`ViewsMissing` and :class:`ViewsUnreadable`."""
    stores = stores_of(settings)
    try:
        engine = stores.read_views()
    except StoreMissing:
        raise ViewsMissing(nothing_yet("views", stores.views_place)) from None
    try:
        with snapshot(engine) as connection:
            yield connection
    except DBAPIError as error:
        cause = str(error.orig).partition("\n")[0]
        # The last is what SQLite says to a reader while the first writer is only just opening the file.
        if any(words in cause for words in ("no such table", "does not exist", "write a readonly database")):
            raise ViewsMissing(nothing_yet("views", stores.views_place)) from None
        raise ViewsUnreadable(f"the views at {stores.views_place} cannot be read: {cause}") from None
    finally:
        engine.dispose()


@contextmanager
def reading_log(settings: Settings) -> Iterator[RecorderEventLog]:
    """Open the event log. Raises :class:`LogMissing`, and what a database raises that does not answer."""
    stores = stores_of(settings)
    try:
        log = stores.read_log()
        try:
            yield log
        finally:
            log.close()
    except StoreMissing:
        raise LogMissing(nothing_yet("event log", stores.log_place)) from None
    except sqlite3.Error as error:
        raise LogMissing(f"the event log at {stores.log_place} cannot be read: {error}") from None


def deployment_id(settings: Settings, reference: str) -> UUID:
    """Find out which deployment is meant; a whole id is taken as it is, without a look at the views.

    Raises :class:`~projections.errors.UnknownDeployment`, :class:`~projections.errors.AmbiguousDeployment`, and what
    :func:`reading_views` raises.
    """
    try:
        return UUID(reference)
    except ValueError:
        with reading_views(settings) as connection:
            return resolve_deployment(connection, reference).id


def deleted_before(connection: Connection, *views: View) -> datetime | None:
    """Before which moment these views may lack rows of what was; ``None`` where they lack none."""
    horizons = find_horizons(connection)
    return max((horizons[view.name] for view in views if view.name in horizons), default=None)


def on_deleted(connection: Connection, view: View, since: datetime | None) -> str:
    """The remark that rows of a view from ``since`` on were deleted, if so (``None``: from the beginning)."""
    before = deleted_before(connection, view)
    if before is None or (since is not None and since >= before):
        return ""
    return f"most from before {shown(before)} UTC is not in the views any more, as retention has it"


def deployment_names(connection: Connection, ids: Collection[UUID]) -> Mapping[UUID, str]:
    """The names of deployments by their ids, at most some thousands at a time."""
    table = DEPLOYMENTS.c
    wanted = select(table.id, table.name).where(table.id.in_([str(each) for each in ids]))
    return {UUID(row.id): row.name for row in connection.execute(wanted)}


def nothing_yet(what: str, where: str) -> str:
    """What to do where nothing was written yet."""
    return (
        f"no {what} at {where} yet: start 'routekeeper worker' or 'routekeeper demo', or name the folder that it works "
        "in by ROUTEKEEPER_DATA_DIR, or its database by ROUTEKEEPER_DATABASE__URL"
    )
