"""Which events made a row what it is."""

from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import Table

from domain.recorded import LoggedEvent
from projections.rows import Key, Rows, TableRows
from projections.view import View


def events_behind(view: View, table: Table, key: tuple[Any, ...], events: Iterable[LoggedEvent]) -> list[LoggedEvent]:
    """Those of a stream's events that touch the row with this key when they are folded, in order."""
    return list(_touching(view, table, key[0] if len(key) == 1 else key, events))


def _touching(view: View, table: Table, key: Key, events: Iterable[LoggedEvent]) -> Iterator[LoggedEvent]:
    rows = Rows(view.tables, limit=1_000_000)
    for logged in events:
        if type(logged.recorded.event) not in view.handles:
            continue
        for announced, wanted in view.keys(logged):
            each = rows.of(announced)
            each.learn(each.unknown([wanted]), ())
        view.fold(rows, logged)
        if _touches(rows.of(table), key):
            yield logged
        rows.written()


def _touches(rows: TableRows, key: Key) -> bool:
    pending = rows.pending
    if key in pending.put or key in pending.updated or key in pending.deleted:
        return True
    return any(rows.key_of(row) == key for row in pending.appended)
