"""A log in a SQLite file, to be copied from or to."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import UUID

from adapters.event_store.event_log import open_sqlite_log
from adapters.event_store.log_copy import CopiedTable, Kind, LogNotCopied, Value


class SQLiteLogPlace:
    """Where a log is, or is to be: a file."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __str__(self) -> str:
        return str(self._file)

    @contextmanager
    def read(self) -> Iterator["SQLiteLogTables"]:
        if not self._file.is_file():
            raise LogNotCopied(f"there is no log at {self}")
        with closing(sqlite3.connect(f"{self._file.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            connection.execute("BEGIN")
            yield SQLiteLogTables(connection)

    @contextmanager
    def write(self) -> Iterator["SQLiteLogTables"]:
        open_sqlite_log(self._file).close()
        with closing(sqlite3.connect(self._file, isolation_level=None)) as connection:
            connection.execute("BEGIN EXCLUSIVE")
            yield SQLiteLogTables(connection)
            connection.execute("COMMIT")


class SQLiteLogTables:
    """The tables, in one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def rows(self, table: CopiedTable) -> Iterator[Sequence[Value]]:
        names = _names(table)
        key = ", ".join(names[: table.key])
        statement = f"SELECT {', '.join(names)} FROM {table.name} ORDER BY {key}"  # noqa: S608 - names of ours
        ids = [index for index, kind in enumerate(table.columns.values()) if kind is Kind.ID]
        for row in self._connection.execute(statement):
            values = list(row)
            for index in ids:
                values[index] = UUID(values[index])
            yield values

    def write(self, table: CopiedTable, rows: Iterable[Sequence[Value]]) -> None:
        names = _names(table)
        places = ", ".join("?" * len(names))
        statement = f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({places})"  # noqa: S608 - names of ours
        plain = ([value.hex if isinstance(value, UUID) else value for value in row] for row in rows)
        self._connection.executemany(statement, plain)


def _names(table: CopiedTable) -> list[str]:
    """The columns as they are called here, where the number of a row is the position of its event."""
    return ["rowid" if name == "notification_id" else name for name in table.columns]
