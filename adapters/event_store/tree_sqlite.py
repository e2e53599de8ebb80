"""The log's tree in the SQLite file of the log."""

import sqlite3
from binascii import hexlify, unhexlify
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from adapters.event_store.instants import microseconds_of, moment_of
from adapters.event_store.tree_store import (
    LogRow,
    TreeMissing,
    TreeUnusable,
    as_leaves,
    as_rows,
    stored_head,
    stored_tile,
)
from domain.audit.leaf import Columns
from domain.audit.proof import Leaves
from domain.audit.tiles import GrownTile, Tile, TileSpan, TreeDamaged
from domain.audit.tree_head import TreeHead
from handlers.ports import LogUnavailable

_LOWEST: Final = -(2**63)
_HIGHEST: Final = 2**63 - 1
#: How an id is written: so many hexadecimal digits (count).
_ID_TEXT: Final = 32
_ROWS: Final = """
    SELECT rowid, originator_id, originator_version, topic, state FROM stored_events
    WHERE rowid >= ? ORDER BY rowid LIMIT ?"""
_STREAM_ROWS: Final = """
    SELECT rowid, originator_id, originator_version, topic, state FROM stored_events
    WHERE originator_id = ? AND originator_version > ? ORDER BY originator_version LIMIT ?"""
_TILE: Final = "SELECT level, tile, hashes, positions FROM tree_tiles WHERE level = ? AND tile = ?"
# SQLite keeps what is planted into a column of numbers as it is: there may be tiles of which the number is none.
_LEAF_TILES: Final = """
    SELECT level, tile, hashes, positions FROM tree_tiles
    WHERE level = 0 AND tile >= ? AND typeof(tile) = 'integer' ORDER BY tile LIMIT ?"""
_TILE_SPANS: Final = "SELECT level, count(*), min(tile), max(tile) FROM tree_tiles GROUP BY level ORDER BY level"
_LAST_LEAF_TILE: Final = """
    SELECT level, tile, hashes, positions FROM tree_tiles
    WHERE level = 0 AND typeof(tile) = 'integer' ORDER BY tile DESC LIMIT 1"""
_EXTEND: Final = """
    INSERT INTO tree_tiles (level, tile, hashes, positions) VALUES (?, ?, ?, ?)
    ON CONFLICT (level, tile) DO UPDATE SET hashes = excluded.hashes, positions = excluded.positions
    WHERE length(tree_tiles.hashes) = 32 * ?"""
_HEADS: Final = "SELECT size, position, root, at, signature FROM tree_heads WHERE size >= ? ORDER BY size LIMIT ?"
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
        # As an array of them, to tell it from a blob: as an id or a type SQLite holds the two to be different.
        self._connection.text_factory = bytearray
        self._file = file

    def rows(self, *, after: int | None, limit: int) -> Sequence[LogRow]:
        return list(as_rows(self._columns(after, limit)))

    def leaves(self, *, after: int | None, limit: int) -> Leaves:
        return as_leaves(self._columns(after, limit))

    def _columns(self, after: int | None, limit: int) -> Columns:
        return _columns(self._select(_ROWS, (_LOWEST if after is None else after + 1, limit)))

    def stream_rows(self, stream_id: UUID, *, after: int, limit: int) -> Sequence[LogRow]:
        return list(as_rows(_columns(self._select(_STREAM_ROWS, (stream_id.hex, after, limit)))))

    def tile(self, level: int, index: int) -> Tile | None:
        return next((stored_tile(*row) for row in self._select(_TILE, (level, index))), None)

    def leaf_tiles(self, *, first: int, count: int) -> Sequence[Tile]:
        return [stored_tile(*row) for row in self._select(_LEAF_TILES, (first, count))]

    def tile_spans(self) -> Sequence[TileSpan]:
        return [TileSpan(*map(_planted, row)) for row in self._select(_TILE_SPANS)]

    def last_leaf_tile(self) -> Tile | None:
        return next((stored_tile(*row) for row in self._select(_LAST_LEAF_TILE)), None)

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

    def heads(self, *, after: int | None, limit: int) -> Sequence[TreeHead]:
        if after == _HIGHEST:  # a planted one: the next is no number to SQLite
            return []
        first = _LOWEST if after is None else after + 1
        return [_head(*row) for row in self._select(_HEADS, (first, limit))]

    def last_head(self) -> TreeHead | None:
        return next((_head(*row) for row in self._select(_LAST_HEAD)), None)

    def keep_head(self, head: TreeHead) -> bool:
        row = (head.size, head.position, head.root_bytes, microseconds_of(head.at), head.signature)
        with _answering(self._file):
            return self._connection.execute(_KEEP_HEAD, row).rowcount == 1

    def close(self) -> None:
        self._connection.close()

    def _select(self, statement: str, parameters: Sequence[object] = ()) -> list[Any]:
        with suppress(TreeMissing), _answering(self._file):
            return self._connection.execute(statement, parameters).fetchall()
        return []


def _columns(found: Sequence[Any]) -> Columns:
    if not found:
        return Columns((), (), (), (), ())
    positions, ids, versions, topics, states = zip(*found, strict=True)
    if set(map(type, topics)) != {bytearray}:
        topics = tuple([each if isinstance(each, bytearray) else None for each in topics])
    return Columns(positions, _ids(ids), versions, topics, states)


def _planted(value: Any) -> Any:  # noqa: ANN401 - as it is stored
    """What stands where a number should: text as text."""
    return value.decode(errors="replace") if isinstance(value, bytearray) else value


def _ids(texts: Sequence[Any]) -> Sequence[bytes]:
    """All at once where each is written as the log writes it."""
    if set(map(type, texts)) == {bytearray} and set(map(len, texts)) == {_ID_TEXT}:
        joined = b"".join(texts)
        with suppress(ValueError):
            found = unhexlify(joined)
            if hexlify(found) == joined:
                return [found[at : at + _ID_TEXT // 2] for at in range(0, len(found), _ID_TEXT // 2)]
    return [_id_bytes(each) for each in texts]


def _id_bytes(text: Any) -> bytes:  # noqa: ANN401 - as it is stored
    """The bytes of an id that is written as the log writes it; any other spelling is another stream to SQLite."""
    try:
        found = unhexlify(text)
    except (TypeError, ValueError):
        return b""
    return found if hexlify(found) == text and type(text) is bytearray else b""


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
        if "no such column" in str(error):
            raise TreeUnusable(f"the tree in {file}: {error}") from None
        raise LogUnavailable(f"the event store does not answer: {error}") from error
