"""The rows of a view in memory while events are folded into them, and what has to be written of them."""

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import Table

from projections.columns import make_storable
from projections.errors import ViewDamaged

#: A row by column name.
Row = dict[str, Any]

#: What identifies a row: the value of its primary key, a tuple of values where that has several columns.
Key = Hashable


@lru_cache(maxsize=10_000)
def id_text(stream_id: UUID) -> str:
    """The id of a stream as columns hold it: a quarter of the time where the stream was met before."""
    return str(stream_id)


@dataclass(slots=True)
class Pending:
    """Changes that are not written yet, to be written in this order."""

    #: (columns with values to look for, columns with values to set)
    everywhere: list[tuple[Mapping[str, Any], Mapping[str, Any]]] = field(default_factory=list)
    deleted: set[Key] = field(default_factory=set)
    #: Names of the changed columns of rows that are stored already.
    updated: dict[Key, set[str]] = field(default_factory=dict)
    #: Rows that are stored as a whole, whether or not there is one with their key.
    put: dict[Key, Row] = field(default_factory=dict)
    #: Rows with a key that never was before.
    appended: list[Row] = field(default_factory=list)


class TableRows:
    """The rows of one table, as far as they are known, under what has been folded but not written.

    Rows that were loaded stay known over batches, the longest unused ones are given up beyond ``limit`` (rows). What
    :meth:`get` gives is not to be changed in place, and what is put, updated or appended belongs to this from then on.
    """

    def __init__(self, table: Table, *, limit: int) -> None:
        self.table = table
        self.key_columns = [column.name for column in table.primary_key]
        self.pending = Pending()
        self._limit = limit
        self._known: dict[Key, Row | None] = {}

    def key_of(self, row: Mapping[str, Any]) -> Key:
        """What identifies the row."""
        if len(self.key_columns) == 1:
            key: Key = row[self.key_columns[0]]
            return key
        return tuple(row[name] for name in self.key_columns)

    def get(self, key: Key) -> Row | None:
        """The row with this key, ``None`` if there is none. The key must have been announced."""
        try:
            return self._known[key]
        except KeyError:
            raise LookupError(f"the fold asks for {self.table.name} {key} without having announced it") from None

    def existing(self, key: Key) -> Row:
        """The row with this key. Raises :class:`ViewDamaged` if there is none."""
        row = self.get(key)
        if row is None:
            raise ViewDamaged(self.table.name, f"something happened to {key}, but there is no such row")
        return row

    def put(self, row: Row) -> None:
        """Store a whole row, in place of one with the same key if there is one."""
        make_storable(row)
        key = self.key_of(row)
        self._known[key] = row
        self.pending.put[key] = row
        self.pending.updated.pop(key, None)

    def update(self, key: Key, changes: Row) -> Row:
        """Change columns of the row with this key, which must exist; gives the changed row."""
        make_storable(changes)
        row = self.existing(key)
        row.update(changes)
        if key not in self.pending.put:
            self.pending.updated.setdefault(key, set()).update(changes)
        return row

    def delete(self, key: Key) -> None:
        """Remove the row with this key."""
        self._known[key] = None
        self.pending.put.pop(key, None)
        self.pending.updated.pop(key, None)
        self.pending.deleted.add(key)

    def append(self, row: Row) -> None:
        """Store a row of a time series: its key is new, and nobody asks for it again."""
        make_storable(row)
        self.pending.appended.append(row)

    def update_where(self, where: Mapping[str, Any], changes: Row) -> None:
        """Change all rows that hold the values of ``where``, known or not; costly, so for rare events."""
        make_storable(changes)
        found = [(key, row) for key, row in self._known.items() if row is not None]
        for name, value in where.items():
            found = [(key, row) for key, row in found if row[name] == value]
        for key, _ in found:
            self.update(key, changes)
        # This is written before all else, for the sake of unknown rows; known ones are then set to what they became.
        for columns in self.pending.updated.values():
            columns.update(changes)
        self.pending.everywhere.append((where, changes))

    def unknown(self, keys: Iterable[Key]) -> list[Key]:
        """Those of the keys whose rows are yet to be loaded; the others count as used."""
        known = self._known
        missing: dict[Key, None] = {}
        for key in keys:
            if key in known:
                known[key] = known.pop(key)
            else:
                missing[key] = None
        return list(missing)

    def learn(self, keys: Sequence[Key], rows: Iterable[Row]) -> None:
        """Take in the stored rows of these keys; a key without a row is known not to have one."""
        self._known.update(dict.fromkeys(keys))
        self._known.update((self.key_of(row), row) for row in rows)

    def row(self, key: Key) -> Row:
        """A row with pending changes, as it is to be written."""
        row = self._known[key]
        if row is None:
            raise LookupError(f"{self.table.name} {key} is deleted and cannot be written")
        return row

    def written(self) -> None:
        """Note that all changes are stored, and give up rows beyond the limit."""
        self.pending = Pending()
        for key in list(self._known)[: max(0, len(self._known) - self._limit)]:
            del self._known[key]

    def forget(self) -> None:
        """Give up everything, also what was not written."""
        self.pending = Pending()
        self._known = {}


class Rows:
    """The rows of all tables of one view."""

    def __init__(self, tables: Iterable[Table], *, limit: int) -> None:
        self._tables = {table.name: TableRows(table, limit=limit) for table in tables}

    def of(self, table: Table) -> TableRows:
        """The rows of one table."""
        return self._tables[table.name]

    def written(self) -> None:
        """Note that all changes are stored."""
        for rows in self:
            rows.written()

    def forget(self) -> None:
        """Give up everything, also what was not written."""
        for rows in self:
            rows.forget()

    def __iter__(self) -> Iterator[TableRows]:
        return iter(self._tables.values())
