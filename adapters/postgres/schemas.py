"""Schemas of a PostgreSQL database."""

from typing import Any, Final

import psycopg
from psycopg import Connection
from psycopg.sql import SQL, Identifier

from adapters.postgres.address import PostgresAddress
from adapters.postgres.reasons import reason
from domain.errors import RoutekeeperError

#: Whoever creates a schema holds this advisory lock of PostgreSQL to the end of the transaction.
_CREATION_LOCK: Final = 0x72_6B_6E_73_70


class SchemaUnusable(RoutekeeperError):
    """A schema is not there and cannot be made, or the database does not answer."""


def ensure_schema(connection: Connection[Any], name: str) -> bool:
    """Create a schema that is not there, and tell whether it was created.

    It is looked for first, because ``IF NOT EXISTS`` wants the right to create one even where one is.
    """
    if _is_there(connection, name):
        return False
    # Of several processes that start together, one creates it while the others wait.
    connection.execute("SELECT pg_advisory_xact_lock(%s)", [_CREATION_LOCK])
    if _is_there(connection, name):
        return False
    connection.execute(SQL("CREATE SCHEMA {}").format(Identifier(name)))
    return True


def _is_there(connection: Connection[Any], name: str) -> bool:
    return connection.execute("SELECT FROM pg_namespace WHERE nspname = %s", [name]).rowcount > 0


def prepare_schema(address: PostgresAddress, name: str) -> bool:
    """Make sure of a schema on a connection of its own, and tell whether it was created.

    Raises :class:`SchemaUnusable`.
    """
    try:
        with psycopg.connect(address.conninfo()) as connection:
            return ensure_schema(connection, name)
    except psycopg.Error as error:
        raise SchemaUnusable(f"schema {name} at {address}: {reason(error)}; 'routekeeper init' creates it") from None
