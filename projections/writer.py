"""Reading and writing the rows of one table in bulk, in as few statements as possible."""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, Table, and_, delete, update
from sqlalchemy.exc import IntegrityError

from projections.bulk import KEY_PREFIX, bulk_table, has_key
from projections.errors import ViewDamaged
from projections.rows import Key, Row, TableRows

# Fewer rows that change in the same columns are written whole, all in one statement: each other set of columns would be
# one more statement to compile and to send.
_ROWS_PER_UPDATE = 20


class TableWriter:
    """Reads and writes one table, which may have another name than the one it is defined under."""

    def __init__(self, table: Table, dialect_name: str) -> None:
        self._table = table
        self._key_parameters = [KEY_PREFIX + column.name for column in table.primary_key]
        self._bulk = bulk_table(table, dialect_name)

    def load(self, connection: Connection, rows: TableRows, keys: Sequence[Key]) -> None:
        """Let ``rows`` know the stored rows of these keys."""
        names = [str(column.name) for column in self._table.columns]
        found = self._bulk.load(connection, [self._parameters(key) for key in keys])
        rows.learn(keys, [dict(zip(names, row, strict=True)) for row in found])

    def write(self, connection: Connection, rows: TableRows) -> None:
        """Write what is pending. Raises :class:`ViewDamaged` if the stored rows are not the ones it builds on."""
        pending = rows.pending
        for where, changes in pending.everywhere:
            matching = and_(*(self._table.c[name] == value for name, value in where.items()))
            connection.execute(update(self._table).where(matching).values(changes))
        if pending.deleted:
            keys = [self._parameters(key) for key in pending.deleted]
            connection.execute(delete(self._table).where(has_key(self._table)), keys)
        whole = list(pending.put.values())
        for names, keyed in _by_columns(rows):
            if len(keyed) < _ROWS_PER_UPDATE:
                whole += [row for _, row in keyed]
            else:
                self._update(connection, names, keyed)
        if whole:
            self._bulk.replace(connection, whole)
        if pending.appended:
            self._append(connection, pending.appended)

    def _parameters(self, key: Key) -> Row:
        values = key if isinstance(key, tuple) else (key,)
        return dict(zip(self._key_parameters, values, strict=True))

    def _append(self, connection: Connection, rows: Sequence[Row]) -> None:
        try:
            self._bulk.append(connection, rows)
        except IntegrityError as error:
            raise ViewDamaged(
                self._table.name, f"rows are there that are only now to be written: {error.orig}"
            ) from error

    def _update(self, connection: Connection, names: frozenset[str], keyed: Sequence[tuple[Key, Row]]) -> None:
        changed = [self._parameters(key) | {name: row[name] for name in names} for key, row in keyed]
        stored = self._bulk.update(connection, names, changed)
        if stored != len(changed):
            raise ViewDamaged(self._table.name, f"{len(changed) - stored} rows are gone")


def _by_columns(rows: TableRows) -> Iterable[tuple[frozenset[str], list[tuple[Key, Row]]]]:
    grouped: dict[frozenset[str], list[tuple[Key, Row]]] = {}
    for key, names in rows.pending.updated.items():
        grouped.setdefault(frozenset(names), []).append((key, rows.row(key)))
    return grouped.items()
