"""A log in a PostgreSQL database, to be copied from or to."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Final
from uuid import UUID

from psycopg import Connection, IsolationLevel, connect
from psycopg.errors import UndefinedTable
from psycopg.rows import TupleRow
from psycopg.sql import SQL, Composable, Identifier

from adapters.event_store.instants import microseconds_of, moment_of
from adapters.event_store.log_copy import CopiedTable, Kind, LogNotCopied, Value
from adapters.event_store.postgres_log import open_postgres_log
from adapters.postgres.address import PostgresAddress

#: Rows that are fetched at once (count).
_ROWS_AT_ONCE: Final = 2000

#: How columns travel in COPY's binary format; the rest is known by what the values are.
_TYPES: Final = {
    Kind.INTEGER: "int8",
    Kind.TEXT: "text",
    Kind.BYTES: "bytea",
    Kind.ID: "uuid",
    Kind.INSTANT: "timestamptz",
    Kind.FLAG: "bool",
}

#: The columns that number their rows by themselves, by table.
_NUMBERED: Final = {"stored_events": "notification_id", "metric_samples": "id", "scaling_evaluations": "id"}


class PostgresLogPlace:
    """Where a log is, or is to be: a schema of a database."""

    def __init__(self, address: PostgresAddress, schema: str) -> None:
        self._address = address
        self._schema = schema

    def __str__(self) -> str:
        return f"{self._address}, schema {self._schema}"

    @contextmanager
    def read(self) -> Iterator["PostgresLogTables"]:
        with connect(self._address.conninfo()) as connection:
            connection.isolation_level = IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            try:
                yield PostgresLogTables(connection, self._schema)
            except UndefinedTable:
                raise LogNotCopied(f"there is no log at {self}") from None

    @contextmanager
    def write(self) -> Iterator["PostgresLogTables"]:
        open_postgres_log(self._address, schema=self._schema).close()
        with connect(self._address.conninfo()) as connection:
            tables = PostgresLogTables(connection, self._schema)
            yield tables
            for table, column in _NUMBERED.items():
                tables.go_on_behind_the_last(table, column)


class PostgresLogTables:
    """The tables, in one transaction."""

    def __init__(self, connection: Connection[TupleRow], schema: str) -> None:
        self._connection = connection
        self._schema = schema

    def rows(self, table: CopiedTable) -> Iterator[Sequence[Value]]:
        columns = [Identifier(name) for name in table.columns]
        statement = SQL("SELECT {} FROM {} ORDER BY {}").format(
            SQL(", ").join(columns), self._table(table.name), SQL(", ").join(columns[: table.key])
        )
        # A cursor of the server's, so that a log need not fit into memory.
        with self._connection.cursor(f"copy_{table.name}", binary=True) as cursor:
            cursor.itersize = _ROWS_AT_ONCE
            for row in cursor.execute(statement):
                yield [_plain(value) for value in row]

    def write(self, table: CopiedTable, rows: Iterable[Sequence[Value]]) -> None:
        names = SQL(", ").join(map(Identifier, table.columns))
        statement = SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(self._table(table.name), names)
        kinds = list(table.columns.values())
        with self._connection.cursor().copy(statement) as copy:
            copy.set_types([_column_type(name, kind) for name, kind in table.columns.items()])
            for row in rows:
                copy.write_row([_stored(kind, value) for kind, value in zip(kinds, row, strict=True)])

    def go_on_behind_the_last(self, table: str, column: str) -> None:
        """Let the next row have the next number."""
        statement = SQL("SELECT setval(%s, max({column})) FROM {table} HAVING max({column}) > 0")
        self._connection.execute(
            statement.format(column=Identifier(column), table=self._table(table)),
            [f"{self._schema}.{table}_{column}_seq"],
        )

    def _table(self, name: str) -> Composable:
        return Identifier(self._schema, name)


def _column_type(name: str, kind: Kind) -> str:
    return "int4" if name == "partition" else _TYPES[kind]


def _plain(value: object) -> Value:
    match value:
        case datetime():
            return microseconds_of(value)
        case bool():
            return int(value)
        case int() | str() | bytes() | UUID() | None:
            return value
        case _:
            raise TypeError(f"a log holds no {type(value).__name__}")


def _stored(kind: Kind, value: Value) -> object:
    match kind, value:
        case Kind.INSTANT, int():
            return moment_of(value)
        case Kind.FLAG, int():
            return bool(value)
        case _:
            return value
