"""The log's tree in the schema of the log in PostgreSQL."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final
from uuid import UUID

from eventsourcing.persistence import InterfaceError, OperationalError, ProgrammingError
from psycopg import Connection, Rollback
from psycopg.errors import UndefinedTable
from psycopg.rows import DictRow, tuple_row
from psycopg.sql import SQL, Composed, Identifier

from adapters.event_store.postgres_datastore import LogDatastore
from adapters.event_store.tree_store import (
    LogRow,
    TreeMissing,
    TreeUnusable,
    as_leaves,
    as_rows,
    stored_head,
    stored_tile,
)
from adapters.postgres.reasons import reason
from domain.audit.leaf import Columns
from domain.audit.proof import Leaves
from domain.audit.tiles import GrownTile, Tile, TileSpan
from domain.audit.tree_head import TreeHead
from handlers.ports import LogUnavailable

#: The tables, as they are created.
TREE_TABLES: Final = (
    """CREATE TABLE IF NOT EXISTS {schema}.tree_tiles (level bigint, tile bigint, hashes bytea NOT NULL,
       positions bytea NOT NULL, PRIMARY KEY (level, tile))""",
    """CREATE TABLE IF NOT EXISTS {schema}.tree_heads (size bigint PRIMARY KEY, position bigint NOT NULL,
       root bytea NOT NULL, at timestamptz NOT NULL, signature bytea)""",
)

_LOWEST: Final = -(2**63)
# Ids and types as bytes: to make an object of each takes longer than to hash the event.
_ROWS: Final = """
    SELECT notification_id, uuid_send(originator_id), originator_version, convert_to(topic, 'UTF8'), state
    FROM {schema}.stored_events WHERE notification_id >= %s ORDER BY notification_id LIMIT %s"""
_STREAM_ROWS: Final = """
    SELECT notification_id, uuid_send(originator_id), originator_version, convert_to(topic, 'UTF8'), state
    FROM {schema}.stored_events WHERE originator_id = %s AND originator_version > %s
    ORDER BY originator_version LIMIT %s"""
_TILE: Final = "SELECT level, tile, hashes, positions FROM {schema}.tree_tiles WHERE level = %s AND tile = %s"
_LEAF_TILES: Final = """
    SELECT level, tile, hashes, positions FROM {schema}.tree_tiles WHERE level = 0 AND tile >= %s
    ORDER BY tile LIMIT %s"""
_TILE_SPANS: Final = """
    SELECT level, count(*), min(tile), max(tile) FROM {schema}.tree_tiles GROUP BY level ORDER BY level"""
_LAST_LEAF_TILE: Final = """
    SELECT level, tile, hashes, positions FROM {schema}.tree_tiles WHERE level = 0 ORDER BY tile DESC LIMIT 1"""
_EXTEND: Final = """
    INSERT INTO {schema}.tree_tiles AS t (level, tile, hashes, positions) VALUES (%s, %s, %s, %s)
    ON CONFLICT (level, tile) DO UPDATE SET hashes = excluded.hashes, positions = excluded.positions
    WHERE octet_length(t.hashes) = 32 * %s"""
_HEADS: Final = """
    SELECT size, position, root, at, signature FROM {schema}.tree_heads WHERE size >= %s ORDER BY size LIMIT %s"""
_LAST_HEAD: Final = """
    SELECT size, position, root, at, signature FROM {schema}.tree_heads ORDER BY size DESC LIMIT 1"""
_KEEP_HEAD: Final = """
    INSERT INTO {schema}.tree_heads (size, position, root, at, signature) VALUES (%s, %s, %s, %s, %s)
    ON CONFLICT DO NOTHING"""


class PostgresTreeStore:
    """Implements :class:`~adapters.event_store.tree_store.TreeStore`."""

    def __init__(self, datastore: LogDatastore) -> None:
        names = {"schema": Identifier(datastore.schema)}
        self._store = datastore
        self._rows = SQL(_ROWS).format(**names)
        self._stream_rows = SQL(_STREAM_ROWS).format(**names)
        self._tile = SQL(_TILE).format(**names)
        self._leaf_tiles = SQL(_LEAF_TILES).format(**names)
        self._tile_spans = SQL(_TILE_SPANS).format(**names)
        self._last_leaf_tile = SQL(_LAST_LEAF_TILE).format(**names)
        self._extend = SQL(_EXTEND).format(**names)
        self._heads = SQL(_HEADS).format(**names)
        self._last_head = SQL(_LAST_HEAD).format(**names)
        self._keep_head = SQL(_KEEP_HEAD).format(**names)

    def rows(self, *, after: int | None, limit: int) -> Sequence[LogRow]:
        return list(as_rows(self._columns(after, limit)))

    def leaves(self, *, after: int | None, limit: int) -> Leaves:
        return as_leaves(self._columns(after, limit))

    def _columns(self, after: int | None, limit: int) -> Columns:
        return _columns(self._select(self._rows, (_LOWEST if after is None else after + 1, limit)))

    def stream_rows(self, stream_id: UUID, *, after: int, limit: int) -> Sequence[LogRow]:
        return list(as_rows(_columns(self._select(self._stream_rows, (stream_id, after, limit)))))

    def tile(self, level: int, index: int) -> Tile | None:
        return next((stored_tile(*row) for row in self._select(self._tile, (level, index))), None)

    def leaf_tiles(self, *, first: int, count: int) -> Sequence[Tile]:
        return [stored_tile(*row) for row in self._select(self._leaf_tiles, (first, count))]

    def tile_spans(self) -> Sequence[TileSpan]:
        return [TileSpan(*row) for row in self._select(self._tile_spans)]

    def last_leaf_tile(self) -> Tile | None:
        return next((stored_tile(*row) for row in self._select(self._last_leaf_tile)), None)

    def extend(self, grown: Sequence[GrownTile]) -> bool:
        is_whole = False
        with self._answering() as connection, connection.transaction():
            is_whole = all(self._is_stored(connection, *each) for each in grown)
            if not is_whole:
                raise Rollback
        return is_whole

    def _is_stored(self, connection: Connection[DictRow], tile: Tile, before: int) -> bool:
        row = (tile.level, tile.index, tile.hashes, tile.positions, before)
        return connection.execute(self._extend, row, prepare=True).rowcount == 1

    def heads(self, *, after: int | None, limit: int) -> Sequence[TreeHead]:
        first = _LOWEST if after is None else after + 1
        return [stored_head(*row) for row in self._select(self._heads, (first, limit))]

    def last_head(self) -> TreeHead | None:
        return next((stored_head(*row) for row in self._select(self._last_head)), None)

    def keep_head(self, head: TreeHead) -> bool:
        row = (head.size, head.position, head.root_bytes, head.at, head.signature)
        with self._answering() as connection:
            return connection.execute(self._keep_head, row).rowcount == 1

    def close(self) -> None:
        self._store.close()

    def _select(self, statement: Composed, parameters: Sequence[object] = ()) -> list[Any]:
        with (
            suppress(TreeMissing),
            self._answering() as connection,
            connection.cursor(row_factory=tuple_row) as cursor,
        ):
            return cursor.execute(statement, parameters, prepare=True, binary=True).fetchall()
        return []

    @contextmanager
    def _answering(self) -> Iterator[Connection[DictRow]]:
        try:
            with self._store.get_connection() as connection:
                yield connection
        except ProgrammingError as error:
            where = f"{self._store.address}, schema {self._store.schema}"
            kind = TreeMissing if isinstance(error.__cause__, UndefinedTable) else TreeUnusable
            raise kind(f"the tree at {where}: {reason(error)}; let its owner run 'routekeeper init'") from None
        except (InterfaceError, OperationalError) as error:
            raise LogUnavailable(f"the event store does not answer: {error}") from error


def _columns(found: Sequence[Any]) -> Columns:
    return Columns(*zip(*found, strict=True)) if found else Columns((), (), (), (), ())
