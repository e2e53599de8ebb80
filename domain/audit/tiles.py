"""The log's tree in tiles of 256 hashes, so that a proof needs a few rows instead of all leaves.

Level 0 holds the hashes of leaves; each further level the roots of full tiles of the one below. Beside each hash stands
the position of the last event below it, so that the same tiles lead from a position to its leaf.
"""

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from struct import pack, unpack
from typing import Final, NamedTuple

from domain.audit.merkle import HASH_BYTES, complete_root, parents, root_of
from domain.errors import RoutekeeperError

#: Hashes in a full tile (count), also as a power of two.
TILE_LEVEL: Final = 8
TILE_WIDTH: Final = 1 << TILE_LEVEL

#: Length of a position in a tile (bytes).
POSITION_BYTES: Final = 8


class TreeDamaged(RoutekeeperError):
    """The stored tree is not one that could have grown."""


@dataclass(frozen=True, slots=True)
class Tile:
    """Up to 256 ``hashes`` of a level, and as many ``positions`` (8 bytes each, big-endian)."""

    level: int
    index: int
    hashes: bytes
    positions: bytes

    @property
    def count(self) -> int:
        """How many hashes there are."""
        return len(self.hashes) // HASH_BYTES


class GrownTile(NamedTuple):
    """A tile as it is to be, and how many hashes (count) it had ``before``."""

    tile: Tile
    before: int


class TileSpan(NamedTuple):
    """So many ``tiles`` (count) of a level are stored, from index ``first`` to ``last``."""

    level: int
    tiles: int
    first: int
    last: int


def packed(positions: Sequence[int]) -> bytes:
    """Positions as tiles hold them."""
    return pack(f">{len(positions)}Q", *positions)


def unpacked(positions: bytes) -> Sequence[int]:
    """The same, read."""
    return unpack(f">{len(positions) // POSITION_BYTES}Q", positions)


def edge_of(size: int) -> Sequence[tuple[int, int]]:
    """Level and index of the tiles that are not full in a tree of ``size`` leaves."""
    edge, level = [], 0
    while size:
        if size % TILE_WIDTH:
            edge.append((level, size >> TILE_LEVEL))
        size, level = size >> TILE_LEVEL, level + 1
    return edge


def grow(size: int, edge: Mapping[int, Tile], hashes: bytes, positions: bytes) -> Sequence[GrownTile]:
    """What becomes of a tree of ``size`` leaves when these come in; ``edge`` are its tiles that are not full, by level.

    The first one given is that of the leaves, which decides whether the tree still is as it was.
    """
    grown, level = [], 0
    while hashes:
        index, before = divmod(size, TILE_WIDTH)
        if before:
            hashes, positions = edge[level].hashes + hashes, edge[level].positions + positions
        tiles = list(_cut(level, index, hashes, positions))
        grown += [GrownTile(tile, before if tile.index == index else 0) for tile in tiles]
        full = [tile for tile in tiles if tile.count == TILE_WIDTH]
        hashes = b"".join(complete_root(tile.hashes) for tile in full)
        positions = b"".join(tile.positions[-POSITION_BYTES:] for tile in full)
        size, level = size >> TILE_LEVEL, level + 1
    return grown


def _cut(level: int, index: int, hashes: bytes, positions: bytes) -> Iterator[Tile]:
    width, places = TILE_WIDTH * HASH_BYTES, TILE_WIDTH * POSITION_BYTES
    for number in range(-(-len(hashes) // width)):
        yield Tile(
            level,
            index + number,
            hashes[number * width : (number + 1) * width],
            positions[number * places : (number + 1) * places],
        )


class TiledTree:
    """The stored tree of the first ``size`` leaves; ``read`` gives a tile by level and index, ``None`` where it is not.

    At most ``cached`` tiles (count) stay in memory. Everything raises :class:`TreeDamaged` where a tile is missing or
    too short.
    """

    def __init__(self, size: int, read: Callable[[int, int], Tile | None], *, cached: int = 64) -> None:
        self.size = size
        self._read = read
        self._limit = cached
        self._tiles: OrderedDict[tuple[int, int], _OpenTile] = OrderedDict()

    def root(self) -> bytes:
        """The root."""
        return root_of(self.size, self.node)

    def node(self, level: int, index: int) -> bytes:
        """The root of a complete subtree, as proofs want it."""
        tile_level, height = divmod(level, TILE_LEVEL)
        first = index << height
        tile = self._tile(tile_level, first >> TILE_LEVEL)
        return tile.node(height, (first % TILE_WIDTH) >> height)

    def index_of(self, position: int) -> int | None:
        """Which leaf the event at ``position`` is; ``None`` if it is not in the tree."""
        index = self.leaves_before(position)
        return index if index < self.size and self.position_at(index) == position else None

    def position_at(self, index: int) -> int:
        """The position of a leaf's event."""
        return self._tile(0, index >> TILE_LEVEL).positions[index % TILE_WIDTH]

    def leaves_before(self, position: int) -> int:
        """How many leaves (count) are of events before ``position``."""
        levels = max(1, -(-self.size.bit_length() // TILE_LEVEL))
        found = 0
        for level in reversed(range(levels)):
            # What was found one level up is the tile to look into; behind the last full one there may be none here.
            first, end = found * TILE_WIDTH, self.size >> TILE_LEVEL * level
            here = self._tile(level, found).positions if first < end else ()
            found = first + bisect_left(here, position, hi=min(len(here), end - first))
        return found

    def _tile(self, level: int, index: int) -> "_OpenTile":
        key = (level, index)
        if key in self._tiles:
            self._tiles.move_to_end(key)
            return self._tiles[key]
        tile = self._read(level, index)
        wanted = min(TILE_WIDTH, (self.size >> TILE_LEVEL * level) - index * TILE_WIDTH)
        if tile is None or tile.count < wanted or len(tile.positions) != tile.count * POSITION_BYTES:
            raise TreeDamaged(f"the stored tree lacks hashes in tile {index} of level {level}")
        self._tiles[key] = opened = _OpenTile(tile)
        if len(self._tiles) > self._limit:
            self._tiles.popitem(last=False)
        return opened


class _OpenTile:
    """A tile with all nodes between its hashes and its root, as far as they are complete."""

    def __init__(self, tile: Tile) -> None:
        self.count = tile.count
        self.positions = unpacked(tile.positions)
        self._levels = [tile.hashes]
        while len(self._levels[-1]) >= 2 * HASH_BYTES:
            hashes = self._levels[-1]
            self._levels.append(parents(hashes[: len(hashes) // (2 * HASH_BYTES) * 2 * HASH_BYTES]))

    def node(self, height: int, index: int) -> bytes:
        at = index * HASH_BYTES
        return self._levels[height][at : at + HASH_BYTES]
