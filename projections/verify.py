"""Whether views tell the truth: each row held against one that is folded anew from the log."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import groupby, islice
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, Table, select

from projections.database import snapshot
from projections.errors import ViewNotBuilt
from projections.placement import VIEW_POSITIONS
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
    side: int
    row: Mapping[str, Any]


async def verify(
    log: LogReader, views: Sequence[View], *, engine: Engine, scratch: Engine, limit: int = 1000
) -> list[Difference]:
    """Rebuild views in ``scratch`` up to where the ones in ``engine`` are, and give the first ``limit`` differences.

    Holds up nobody who writes. Raises :class:`ViewNotBuilt` where there is nothing to compare.
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
                found += await in_thread(_differences, view, stored, rebuilt, limit=limit - len(found))
    return found


def _differences(view: View, stored: Connection, rebuilt: Connection, *, limit: int) -> list[Difference]:
    found = (each for table in view.tables for each in _compare(view, table, stored, rebuilt))
    return list(islice(found, limit))


def _position(connection: Connection, view: View) -> int:
    table = VIEW_POSITIONS.c
    mine = (table.view == view.name) & (table.version == view.version) & table.live
    position: int | None = connection.scalar(select(table.position).where(mine))
    if position is None:
        raise ViewNotBuilt(f"view {view.name} is not there in version {view.version}")
    return position


def _compare(view: View, table: Table, stored: Connection, rebuilt: Connection) -> Iterator[Difference]:
    """Walk both tables in the order of their keys, which is the same in every database."""
    sides = (_rows(stored, table, 0), _rows(rebuilt, table, 1))
    by_key = groupby(merge(*sides, key=lambda row: row.key), key=lambda row: row.key)
    for key, rows in by_key:
        pair: list[Mapping[str, Any] | None] = [None, None]
        for row in rows:
            pair[row.side] = row.row
        if pair[0] != pair[1]:
            yield Difference(view=view.name, table=table.name, key=key, stored=pair[0], rebuilt=pair[1])


def _rows(connection: Connection, table: Table, side: int) -> Iterator[_KeyedRow]:
    key = list(table.primary_key)
    query = select(table).order_by(*key).execution_options(yield_per=_ROWS_AT_A_TIME)
    for row in connection.execute(query).mappings():
        yield _KeyedRow(tuple(row[column.name] for column in key), side, dict(row))
