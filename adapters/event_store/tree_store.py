"""What the log's tree needs of the database that holds the log: its rows as leaves, tiles, and tree heads."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol
from uuid import UUID

from pydantic import ValidationError

from domain.audit.leaf import Columns, LeafInvalid, leaf_bytes, leaf_hashes
from domain.audit.proof import Leaves
from domain.audit.tiles import GrownTile, Tile, TileSpan, TreeDamaged
from domain.audit.tree_head import TreeHead
from domain.errors import RoutekeeperError


class TreeMissing(RoutekeeperError):
    """There is no tree beside the log yet."""


class TreeUnusable(RoutekeeperError):
    """The tree's tables have another shape than they must have, or are not for this user."""


class LogRow(NamedTuple):
    """A row of the log: ``data`` are the bytes of its leaf, none where the row is no event at all."""

    position: int
    data: bytes


class TreeStore(Protocol):
    """The log's rows and its tree; calls block, and are for one thread at a time.

    A table that is missing is read as one without rows; who writes to it gets :class:`TreeMissing`. All of them raise
    :class:`~handlers.ports.LogUnavailable` where the database does not answer, and :class:`TreeUnusable`.
    """

    def rows(self, *, after: int | None, limit: int) -> Sequence[LogRow]:
        """At most ``limit`` rows behind position ``after`` (``None``: from the lowest one there is), in order."""
        ...

    def leaves(self, *, after: int | None, limit: int) -> Leaves:
        """The same rows as leaves; the hash of one that is no event is :data:`~domain.audit.leaf.NO_EVENT`."""
        ...

    def stream_rows(self, stream_id: UUID, *, after: int, limit: int) -> Sequence[LogRow]:
        """At most ``limit`` rows of a stream behind version ``after``, in the order of versions."""
        ...

    def tile(self, level: int, index: int) -> Tile | None:
        """A tile of the stored tree."""
        ...

    def leaf_tiles(self, *, first: int, count: int) -> Sequence[Tile]:
        """At most ``count`` tiles of leaves from index ``first`` on, in order."""
        ...

    def tile_spans(self) -> Sequence[TileSpan]:
        """Which tiles there are, by level."""
        ...

    def last_leaf_tile(self) -> Tile | None:
        """The tile of leaves in which the tree ends."""
        ...

    def extend(self, grown: Sequence[GrownTile]) -> bool:
        """Store tiles, all or none; ``False`` if one of them is not any more what it was before."""
        ...

    def heads(self, *, after: int | None, limit: int) -> Sequence[TreeHead]:
        """At most ``limit`` tree heads of more than ``after`` leaves (``None``: all), the smallest first.

        Raises :class:`TreeDamaged` for a row that is none.
        """
        ...

    def last_head(self) -> TreeHead | None:
        """The tree head of the most leaves."""
        ...

    def keep_head(self, head: TreeHead) -> bool:
        """Store a tree head; ``False`` if there is one of this size."""
        ...

    def close(self) -> None:
        """Let go of the database."""
        ...


def as_rows(columns: Columns) -> Iterator[LogRow]:
    """Row by row; what is no event becomes a row without data."""
    for position, stream_id, version, topic, state in zip(*columns, strict=True):
        try:
            yield LogRow(position, leaf_bytes(position, stream_id, version, topic, state))
        except LeafInvalid:
            yield LogRow(position, b"")


def as_leaves(columns: Columns) -> Leaves:
    """All of them hashed."""
    return Leaves(columns.positions, leaf_hashes(columns))


def stored_tile(level: int, index: int, hashes: object, positions: object) -> Tile:
    """A tile as it was kept; what is no bytes is taken for none, which no tile may have."""
    return Tile(level, index, *(each if isinstance(each, bytes) else b"" for each in (hashes, positions)))


def stored_head(size: int, position: int, root: bytes, at: datetime, signature: bytes | None) -> TreeHead:
    """A tree head as it was kept. Raises :class:`TreeDamaged` for a row that is none."""
    try:
        plain = TreeHead(size=size, position=position, root=root.hex(), at=at)
    except ValidationError as error:
        raise TreeDamaged(f"the stored tree head of size {size} is none: {error.errors()[0]['msg']}") from None
    except AttributeError:
        raise TreeDamaged(f"the stored tree head of size {size} is none: its root is no bytes") from None
    return plain if signature is None else plain.signed(signature)
