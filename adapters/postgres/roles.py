"""Who may do what: an owner, a writer and a reader, and nothing more for each than it needs.

They are made without the right to log in, which whoever runs the database gives them together with a way to prove who
they are.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, LiteralString

from psycopg import Connection, Error, connect
from psycopg.rows import TupleRow
from psycopg.sql import SQL, Identifier

from adapters.postgres.address import PostgresAddress
from adapters.postgres.reasons import reason
from domain.errors import RoutekeeperError

#: The version of PostgreSQL since which being a member of a role does not mean that one may act as it.
_SET_ROLE_IS_A_RIGHT: Final = 160000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Grants:
    """The statements that make a schema somebody's; after these its tables change hands, then come those ``on_tables``.

    In them stand the names of the ``{schema}``, the ``{database}``, and of ``{owner}``, ``{writer}`` and ``{reader}``.
    """

    on_schema: Sequence[LiteralString]
    on_tables: Sequence[LiteralString]


#: The log itself can only grow; what stands beside it says how far it is, or is kept for some time only.
_LOG: Final = _Grants(
    on_schema=(
        "GRANT CREATE ON DATABASE {database} TO {owner}",
        "ALTER SCHEMA {schema} OWNER TO {owner}",
        "REVOKE ALL ON SCHEMA {schema} FROM PUBLIC, {writer}, {reader}",
        "GRANT USAGE ON SCHEMA {schema} TO {writer}",
    ),
    on_tables=(
        "REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM PUBLIC, {writer}, {reader}",
        "REVOKE ALL ON ALL SEQUENCES IN SCHEMA {schema} FROM PUBLIC, {writer}, {reader}",
        "GRANT SELECT, INSERT ON {schema}.stored_events, {schema}.commits TO {writer}",
        "GRANT SELECT, INSERT, DELETE ON {schema}.command_outcomes, {schema}.metric_samples TO {writer}",
        "GRANT SELECT, INSERT, DELETE ON {schema}.scaling_evaluations TO {writer}",
        "GRANT SELECT, INSERT, UPDATE (before) ON {schema}.retention_horizons TO {writer}",
        "GRANT SELECT, INSERT, UPDATE (next, digest) ON {schema}.positions TO {writer}",
        "GRANT SELECT, INSERT, UPDATE (due_at, version, scales), DELETE ON {schema}.due_work TO {writer}",
        "GRANT SELECT, INSERT, UPDATE (position) ON {schema}.followers TO {writer}",
        "GRANT SELECT, INSERT, UPDATE (hashes, positions) ON {schema}.tree_tiles TO {writer}",
        "GRANT SELECT, INSERT ON {schema}.tree_heads TO {writer}",
        "GRANT USAGE ON SEQUENCE {schema}.stored_events_notification_id_seq TO {writer}",
    ),
)

#: Views are tables that the writer makes, replaces and drops, and that the reader sees.
_VIEWS: Final = _Grants(
    on_schema=(
        "GRANT CREATE ON DATABASE {database} TO {owner}",
        "ALTER SCHEMA {schema} OWNER TO {owner}",
        "REVOKE ALL ON SCHEMA {schema} FROM PUBLIC, {reader}",
        "GRANT USAGE, CREATE ON SCHEMA {schema} TO {writer}",
        "GRANT USAGE ON SCHEMA {schema} TO {reader}",
    ),
    on_tables=(
        "GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {reader}",
        "ALTER DEFAULT PRIVILEGES FOR ROLE {writer} IN SCHEMA {schema} GRANT SELECT ON TABLES TO {reader}",
    ),
)


class RolesNotMade(RoutekeeperError):
    """The roles were not made; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Roles:
    """The names of the roles, all of which begin with ``prefix``."""

    prefix: str = "routekeeper"

    @property
    def owner(self) -> str:
        """Owns the schemas and the log's tables: for ``routekeeper init``, upgrades and backups."""
        return f"{self.prefix}_owner"

    @property
    def writer(self) -> str:
        """What a worker is."""
        return f"{self.prefix}_writer"

    @property
    def reader(self) -> str:
        """Sees the views and nothing else."""
        return f"{self.prefix}_reader"


def grant_on_log(address: PostgresAddress, schema: str, roles: Roles) -> Sequence[str]:
    """Make the roles and give them their rights to the log; gives the names of those that were not there.

    To be run by a superuser, or by somebody who may create roles and owns the database. Safe to repeat: other rights to
    the log's tables are taken away. Raises :class:`RolesNotMade`.
    """
    return _granted(address, schema, roles, _LOG, table_owner=roles.owner)


def grant_on_views(address: PostgresAddress, schema: str, roles: Roles) -> Sequence[str]:
    """The same for the views."""
    return _granted(address, schema, roles, _VIEWS, table_owner=roles.writer)


def _granted(
    address: PostgresAddress, schema: str, roles: Roles, grants: _Grants, *, table_owner: str
) -> Sequence[str]:
    try:
        with connect(address.conninfo()) as connection:
            names = {
                "schema": Identifier(schema),
                "database": Identifier(connection.info.dbname),
                "owner": Identifier(roles.owner),
                "writer": Identifier(roles.writer),
                "reader": Identifier(roles.reader),
            }
            created = list(_created(connection, roles))
            for statement in grants.on_schema:
                connection.execute(SQL(statement).format(**names))
            _own_tables(connection, schema, table_owner)
            for statement in grants.on_tables:
                connection.execute(SQL(statement).format(**names))
    except Error as error:
        raise RolesNotMade(f"roles at {address}: {reason(error)}") from None
    return created


def _created(connection: Connection[TupleRow], roles: Roles) -> Iterator[str]:
    for name in (roles.owner, roles.writer, roles.reader):
        if not connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [name]).rowcount:
            connection.execute(SQL("CREATE ROLE {} NOLOGIN").format(Identifier(name)))
            yield name
        # Who is no superuser may hand things over only to roles that he could be.
        how = "SET" if connection.info.server_version >= _SET_ROLE_IS_A_RIGHT else "MEMBER"
        if connection.execute("SELECT pg_has_role(%s, %s)", [name, how]).fetchone() == (False,):
            connection.execute(SQL("GRANT {} TO CURRENT_USER").format(Identifier(name)))


def _own_tables(connection: Connection[TupleRow], schema: str, owner: str) -> None:
    for (name,) in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", [schema]).fetchall():
        connection.execute(SQL("ALTER TABLE {} OWNER TO {}").format(Identifier(schema, name), Identifier(owner)))
