"""Whether views tell the truth: each row held against one that is folded anew from the log."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from heapq import merge
from itertools import groupby, islice
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, Dialect, Engine, Table, false, select, type_coerce

from projections.columns import Instant
from projections.database import snapshot
from projections.errors import ViewNotBuilt
from projections.placement import VIEW_POSITIONS
from projections.pruning import find_horizons
from projections.replay import replay
from projections.runner import LogReader
from projections.threads import in_thread
from projections.view import View

#: Most rows of a table in memory at a time (count).
_ROWS_AT_A_TIME = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A row that is not what the log says; ``None`` where there is no such row."""

    view: str
    table: str
    key: tuple[Any, ...]
    stored: Mapping[str, Any] | None
    rebuilt: Mapping[str, Any] | None


class _KeyedRow(NamedTuple):
    key: tuple[Any, ...]
    order: tuple[tuple[int, Any], ...]
    side: int
    row: Mapping[str, Any]
    may_be_gone: bool


async def verify(
    log: LogReader, views: Sequence[View], *, engine: Engine, scratch: Engine, limit: int = 1000
) -> list[Difference]:
    """Rebuild views in ``scratch`` up to where the ones in ``engine`` are, and give the first ``limit`` differences.

    A row that retention may have deleted, as far as the views have a horizon, is not missing; if it is there, it is
    compared. Holds up nobody who writes. Raises :class:`ViewNotBuilt` where there is nothing to compare.
    """
    found: list[Difference] = []
    for view in views:
        # Almost all is folded before the snapshot is taken, so that it need not be held for long.
        with snapshot(engine) as connection:
            reached = _position(connection, view)
        await replay(log, [view], until=reached, engine=scratch)
        with snapshot(engine) as stored:
            await replay(log, [view], until=_position(stored, view), engine=scratch)
            with snapshot(scratch) as rebuilt:
                before = find_horizons(stored).get(view.name)
                found += await in_thread(_differences, view, stored, rebuilt, before, limit=limit - len(found))
    return found


def _differences(
    view: View, stored: Connection, rebuilt: Connection, before: datetime | None, *, limit: int
) -> list[Difference]:
    found = (each for table in view.tables for each in _compare(view, table, stored, rebuilt, before))
    return list(islice(found, limit))


def _position(connection: Connection, view: View) -> int:
    table = VIEW_POSITIONS.c
    mine = (table.view == view.name) & (table.version == view.version) & table.live
    position: int | None = connection.scalar(select(table.position).where(mine))
    if position is None:
        raise ViewNotBuilt(f"view {view.name} is not there in version {view.version}")
    return position


def _compare(
    view: View, table: Table, stored: Connection, rebuilt: Connection, before: datetime | None
) -> Iterator[Difference]:
    """Walk both tables in the order of their keys, which is the same in every database."""
    sides = (_rows(stored, table, 0, false()), _rows(rebuilt, table, 1, _may_be_gone(view, table, before)))
    by_key = groupby(merge(*sides, key=lambda row: row.order), key=lambda row: row.key)
    for key, rows in by_key:
        pair: list[_KeyedRow | None] = [None, None]
        for row in rows:
            pair[row.side] = row
        one, other = pair
        if one is None and other is not None and other.may_be_gone:
            continue
        shown, expected = one and one.row, other and other.row
        if shown != expected:
            yield Difference(view=view.name, table=table.name, key=key, stored=shown, rebuilt=expected)


def _may_be_gone(view: View, table: Table, before: datetime | None) -> ColumnElement[bool]:
    """The condition for rows that retention may have deleted."""
    outdated = next((series.outdated for series in view.series if series.table is table), None)
    return false() if outdated is None or before is None else outdated(table, before)


def _rows(connection: Connection, table: Table, side: int, may_be_gone: ColumnElement[bool]) -> Iterator[_KeyedRow]:
    key = [column.name for column in table.primary_key]
    columns = [type_coerce(each, _AS_STORED) if isinstance(each.type, Instant) else each for each in table.columns]
    query = select(*columns, may_be_gone).order_by(*table.primary_key).execution_options(yield_per=_ROWS_AT_A_TIME)
    names = [str(column.name) for column in table.columns]
    for *values, gone in connection.execute(query):
        row = dict(zip(names, values, strict=True))
        found = tuple(row[name] for name in key)
        yield _KeyedRow(found, tuple(map(_ordered, found)), side, row, bool(gone))


class _InstantAsStored(Instant):
    """A moment, or whatever else somebody has put in its place, which SQLite allows."""

    cache_ok = True

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:  # noqa: ANN401 - that is what it is about
        try:
            return super().process_result_value(value, dialect)
        except (ValueError, TypeError, AttributeError):
            return value


_AS_STORED: Final = _InstantAsStored()


def _ordered(value: Any) -> tuple[int, Any]:  # noqa: ANN401 - the value of any column
    """Values of any types in SQLite's order: nothing, numbers, text, bytes."""
    match value:
        case None:
            return 0, 0
        case int() | float():
            return 1, value
        case str():
            return 2, value
        case _:
            return 3, value
