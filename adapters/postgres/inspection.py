"""What a role finds in a database, and may do there."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from psycopg import Connection, connect
from psycopg.rows import TupleRow

from adapters.postgres.address import PostgresAddress

#: What a worker does to the tables of the log.
_RIGHTS_ON_LOG: Final[Mapping[str, Sequence[str]]] = {
    "stored_events": ("SELECT", "INSERT"),
    "commits": ("SELECT", "INSERT"),
    "command_outcomes": ("SELECT", "INSERT"),
    "positions": ("SELECT", "INSERT", "UPDATE"),
    "due_work": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "followers": ("SELECT", "INSERT", "UPDATE"),
}
_OF_COLUMNS: Final = frozenset({"SELECT", "INSERT", "UPDATE"})
_OF_ANY_COLUMN: Final = "SELECT has_any_column_privilege(%s, %s)"
_OF_TABLE: Final = "SELECT has_table_privilege(%s, %s)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What was seen: the server, who we are there, its clock, and what we lack (empty: nothing)."""

    server: str
    role: str
    clock: datetime
    missing_tables: Sequence[str]
    missing_rights: Sequence[str]


def inspect_log(address: PostgresAddress, schema: str, *, seconds: float) -> Inspection:
    """Look at the schema of the log as a worker would use it, within ``seconds``. Raises psycopg's ``Error``."""
    with _connected(address, seconds) as connection:
        if not _has_schema(connection, schema):
            return _inspection(connection, [*_RIGHTS_ON_LOG], [])
        there = {
            name for (name,) in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", [schema])
        }
        missing = [table for table in _RIGHTS_ON_LOG if table not in there]
        rights = list(_missing_rights(connection, schema, there)) if _may(connection, schema, "USAGE") else []
        if not _may(connection, schema, "USAGE"):
            rights = [f"USAGE on schema {schema}"]
        return _inspection(connection, missing, rights)


def inspect_views(address: PostgresAddress, schema: str, *, seconds: float) -> Inspection:
    """Look at the schema of the views, which a worker fills by itself. Raises psycopg's ``Error``."""
    with _connected(address, seconds) as connection:
        if not _has_schema(connection, schema):
            return _inspection(connection, [f"schema {schema}"], [])
        rights = [f"{right} on schema {schema}" for right in ("USAGE", "CREATE") if not _may(connection, schema, right)]
        return _inspection(connection, [], rights)


def _connected(address: PostgresAddress, seconds: float) -> Connection[TupleRow]:
    options = {**address.parameters({"statement_timeout": str(round(seconds * 1000))})}
    options["connect_timeout"] = str(max(2, round(seconds)))
    return connect(**options)  # type: ignore[arg-type] # libpq's parameters are texts


def _inspection(connection: Connection[TupleRow], tables: Sequence[str], rights: Sequence[str]) -> Inspection:
    row = connection.execute("SELECT current_user, clock_timestamp()").fetchone() or ("", datetime.now(UTC))
    version = connection.info.server_version
    return Inspection(
        server=f"PostgreSQL {version // 10000}.{version % 10000}",
        role=row[0],
        clock=row[1],
        missing_tables=tables,
        missing_rights=rights,
    )


def _has_schema(connection: Connection[TupleRow], schema: str) -> bool:
    return connection.execute("SELECT FROM pg_namespace WHERE nspname = %s", [schema]).rowcount > 0


def _may(connection: Connection[TupleRow], schema: str, right: str) -> bool:
    return connection.execute("SELECT has_schema_privilege(%s, %s)", [schema, right]).fetchone() == (True,)


def _missing_rights(connection: Connection[TupleRow], schema: str, there: set[str]) -> Iterator[str]:
    for table, rights in _RIGHTS_ON_LOG.items():
        if table not in there:
            continue
        name = f'"{schema}"."{table}"'
        for right in rights:
            # A right to some columns is one too: the writer may change no others.
            ask = _OF_ANY_COLUMN if right in _OF_COLUMNS else _OF_TABLE
            if connection.execute(ask, [name, right]).fetchone() != (True,):
                yield f"{right} on {schema}.{table}"
