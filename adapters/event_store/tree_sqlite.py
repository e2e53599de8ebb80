"""The log's tree in the SQLite file of the log."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from adapters.event_store.instants import microseconds_of, moment_of
from adapters.event_store.tree_store import LogRow, TreeMissing, as_rows, stored_head
from domain.audit.tiles import GrownTile, Tile, TreeDamaged
from domain.audit.tree_head import TreeHead
from handlers.ports import LogUnavailable

_LOWEST: Final = -(2**63)
_ROWS: Final = """
    SELECT rowid, originator_id, originator_version, topic, state FROM stored_events
    WHERE rowid >= ? ORDER BY rowid LIMIT ?"""
_STREAM_ROWS: Final = """
    SELECT rowid, originator_id, originator_version, topic, state FROM stored_events
    WHERE originator_id = ? AND originator_version > ? ORDER BY originator_version LIMIT ?"""
_TILE: Final = "SELECT level, tile, hashes, positions FROM tree_tiles WHERE level = ? AND tile = ?"
_LEAF_TILES: Final = """
    SELECT level, tile, hashes, positions FROM tree_tiles WHERE level = 0 AND tile >= ? ORDER BY tile LIMIT ?"""
_LAST_LEAF_TILE: Final = """
    SELECT level, tile, hashes, positions FROM tree_tiles WHERE level = 0 ORDER BY tile DESC LIMIT 1"""
_EXTEND: Final = """
    INSERT INTO tree_tiles (level, tile, hashes, positions) VALUES (?, ?, ?, ?)
    ON CONFLICT (level, tile) DO UPDATE SET hashes = excluded.hashes, positions = excluded.positions
    WHERE length(tree_tiles.hashes) = 32 * ?"""
_HEADS: Final = "SELECT size, position, root, at, signature FROM tree_heads WHERE size > ? ORDER BY size LIMIT ?"
_LAST_HEAD: Final = "SELECT size, position, root, at, signature FROM tree_heads ORDER BY size DESC LIMIT 1"
_KEEP_HEAD: Final = (
    "INSERT INTO tree_heads (size, position, root, at, signature) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
)


class SQLiteTreeStore:
    """Implements :class:`~adapters.event_store.tree_store.TreeStore`; the file and its tables must be there."""

    def __init__(self, file: Path, *, is_read_only: bool = False, lock_timeout_seconds: float = 5.0) -> None:
        mode = "ro" if is_read_only else "rw"
        with _answering(file):
            self._connection = sqlite3.connect(
                f"{file.absolute().as_uri()}?mode={mode}",
                uri=True,
                isolation_level=None,
                timeout=lock_timeout_seconds,
                check_same_thread=False,
            )
        # Text as bytes: what is not UTF-8, as somebody may have planted it, must not keep other rows from being read.
        self._connection.text_factory = bytes
        self._file = file

    def rows(self, *, after: int | None, limit: int) -> Sequence[LogRow]:
        return _log_rows(self._select(_ROWS, (_LOWEST if after is None else after + 1, limit)))

    def stream_rows(self, stream_id: UUID, *, after: int, limit: int) -> Sequence[LogRow]:
        return _log_rows(self._select(_STREAM_ROWS, (stream_id.hex, after, limit)))

    def tile(self, level: int, index: int) -> Tile | None:
        return next((Tile(*row) for row in self._select(_TILE, (level, index))), None)

    def leaf_tiles(self, *, first: int, count: int) -> Sequence[Tile]:
        return [Tile(*row) for row in self._select(_LEAF_TILES, (first, count))]

    def last_leaf_tile(self) -> Tile | None:
        return next((Tile(*row) for row in self._select(_LAST_LEAF_TILE)), None)

    def extend(self, grown: Sequence[GrownTile]) -> bool:
        with _answering(self._file):
            self._connection.execute("BEGIN IMMEDIATE")
            is_whole = False
            try:
                is_whole = all(self._store(*each) for each in grown)
            finally:
                self._connection.execute("COMMIT" if is_whole else "ROLLBACK")
            return is_whole

    def _store(self, tile: Tile, before: int) -> bool:
        row = (tile.level, tile.index, tile.hashes, tile.positions, before)
        return self._connection.execute(_EXTEND, row).rowcount == 1

    def heads(self, *, after: int, limit: int) -> Sequence[TreeHead]:
        return [_head(*row) for row in self._select(_HEADS, (after, limit))]

    def last_head(self) -> TreeHead | None:
        return next((_head(*row) for row in self._select(_LAST_HEAD)), None)

    def keep_head(self, head: TreeHead) -> bool:
        row = (head.size, head.position, head.root_bytes, microseconds_of(head.at), head.signature)
        with _answering(self._file):
            return self._connection.execute(_KEEP_HEAD, row).rowcount == 1

    def close(self) -> None:
        self._connection.close()

    def _select(self, statement: str, parameters: Sequence[object] = ()) -> list[Any]:
        with _answering(self._file):
            return self._connection.execute(statement, parameters).fetchall()


def _log_rows(found: Sequence[Any]) -> Sequence[LogRow]:
    return list(as_rows([(row[0], _id_bytes(row[1]), *row[2:]) for row in found]))


def _id_bytes(text: object) -> bytes:
    """The bytes of an id that is written as the log writes it; any other spelling is another stream to SQLite."""
    try:
        found = bytes.fromhex(text.decode()) if isinstance(text, bytes) else b""
    except ValueError:
        return b""
    return found if found.hex().encode() == text else b""


def _head(size: int, position: int, root: bytes, at: int, signature: bytes | None) -> TreeHead:
    try:
        moment = moment_of(at)
    except (OverflowError, TypeError):
        raise TreeDamaged(f"the stored tree head of size {size} is none: its time is {at!r:.80}") from None
    return stored_head(size, position, root, moment, signature)


@contextmanager
def _answering(file: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        if "no such table" in str(error):
            raise TreeMissing(f"there is no tree in {file} yet: let a worker run once") from None
        raise LogUnavailable(f"the event store does not answer: {error}") from error
