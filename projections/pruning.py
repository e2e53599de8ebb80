"""Deletes rows of time series when their time is over, and notes before which moment a view may lack some."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, Table, and_, delete, func, inspect, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateTable

from projections.columns import instant, word
from projections.database import writing
from projections.errors import ViewDamaged
from projections.placement import Placement, advance
from projections.threads import in_thread
from projections.time_series import TimeSeries
from projections.view import METADATA

_log = logging.getLogger(__name__)

#: Views of which something was ever deleted; outlives the views' own tables.
VIEW_HORIZONS = Table("view_horizons", METADATA, word("view", key=True), instant("before"))

_Key = tuple[Any, ...]


def find_horizons(connection: Connection) -> Mapping[str, datetime]:
    """Before which moments rows of time series may be missing, by view; absent is what was never pruned.

    Raises :class:`ViewDamaged` where something else stands in place of a moment.
    """
    if not inspect(connection).has_table(VIEW_HORIZONS.name):
        return {}
    try:
        return {row.view: row.before for row in connection.execute(select(VIEW_HORIZONS))}
    except (ValueError, AttributeError) as error:
        raise ViewDamaged(VIEW_HORIZONS.name, f"no moment: {error}") from None


class _Walk(NamedTuple):
    """On the way through a table in the order of its key: how far, and how many rows were deleted."""

    view: str
    series: TimeSeries
    after: _Key | None = None
    deleted: int = 0


class Pruner:
    """Deletes what is from before ``horizon()``, a part at a time, so that whoever folds goes on between.

    Rounds are ``interval`` (seconds) apart; of a table ``batch_rows`` (count) are looked at in one transaction.
    """

    def __init__(self, horizon: Callable[[], datetime], *, interval: float = 600.0, batch_rows: int = 5000) -> None:
        self._horizon = horizon
        self._interval = interval
        self._batch_rows = batch_rows
        self._due_at = 0.0
        self._left: list[_Walk] = []
        self._before: datetime | None = None

    async def step(self, engine: Engine, placements: Sequence[Placement]) -> bool:
        """Go on with a round, or begin one if it is time; tells whether there is more of it.

        Raises :class:`ProjectionConflict` where a view does not stand where it should, and what the database raises.
        """
        now = asyncio.get_running_loop().time()
        if not self._left and now >= self._due_at:
            self._due_at, self._before = now + self._interval, self._horizon()
            self._left = [_Walk(each.view.name, series) for each in placements for series in each.view.series]
        if not self._left or self._before is None:
            return False
        walk = self._left[-1]
        placement = next((each for each in placements if each.view.name == walk.view), None)
        if placement is not None:
            walk = await in_thread(_prune, engine, placement, walk, self._before, self._batch_rows)
            self._left[-1] = walk
        if placement is None or walk.after is None:
            self._left.pop()
            _tell(walk, self._before)
        return bool(self._left)


def _tell(walk: _Walk, before: datetime) -> None:
    if walk.deleted:
        moment = before.isoformat(timespec="seconds")
        extra = {"action": "view_pruned", "view": walk.view}
        _log.info("deleted %d rows of %s from before %s", walk.deleted, walk.series.table.name, moment, extra=extra)


def _prune(engine: Engine, placement: Placement, walk: _Walk, before: datetime, limit: int) -> _Walk:
    """Look at the next ``limit`` rows, and delete those that may go; afterwards ``after`` is ``None`` at the end."""
    table = placement.tables[walk.series.table.name]
    key = tuple_(*table.primary_key)
    begin = [] if walk.after is None else [key > walk.after]
    with writing(engine) as connection:
        # As whoever folds does: nobody else has taken over, and nobody replaces the tables meanwhile.
        advance(connection, [placement], placement.position)
        last = connection.execute(
            select(*table.primary_key).where(*begin).order_by(*table.primary_key).offset(limit - 1).limit(1)
        ).first()
        end = [] if last is None else [key <= tuple(last)]
        outdated = and_(*begin, *end, walk.series.outdated(table, before))
        deleted = connection.execute(delete(table).where(outdated)).rowcount
        if deleted:
            _note(connection, walk.view, before)
    return walk._replace(after=None if last is None else tuple(last), deleted=walk.deleted + deleted)


def _note(connection: Connection, view: str, before: datetime) -> None:
    """Move a view's horizon, but never back."""
    connection.execute(CreateTable(VIEW_HORIZONS, if_not_exists=True))
    kind = postgresql if connection.dialect.name == "postgresql" else sqlite
    insertion = kind.insert(VIEW_HORIZONS).values(view=view, before=before)
    known, proposed = VIEW_HORIZONS.c.before, insertion.excluded.before
    greatest = func.greatest if connection.dialect.name == "postgresql" else func.max
    connection.execute(
        insertion.on_conflict_do_update(index_elements=["view"], set_={"before": greatest(known, proposed)})
    )
