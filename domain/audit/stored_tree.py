"""Whether a stored tree is one that can have grown: the shape of its tiles, and that each goes with those below it.

Leaves are held against the log elsewhere; this is what finds a tile that was tampered with further up.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final

from domain.audit.merkle import HASH_BYTES, complete_root
from domain.audit.tiles import POSITION_BYTES, TILE_LEVEL, TILE_WIDTH, Tile, TileSpan, unpacked

_LEVELS: Final = range(64 // TILE_LEVEL)

#: Most faults that are told (count); what comes after is only counted.
MAX_FAULTS: Final = 1000


@dataclass(frozen=True, slots=True)
class TileFault:
    """What is wrong with a tile of the stored tree, in words."""

    level: int
    index: int
    what: str


class StoredTreeCheck:
    """Takes the tiles of leaves in order, and looks for what they come to in the tiles above, read by ``read``.

    It keeps one tile a level. A tree that grows meanwhile is none the worse for it.
    """

    def __init__(self, read: Callable[[int, int], Tile | None]) -> None:
        self._read = read
        self._above: dict[int, _Above] = {}
        self._leaf_tiles = 0
        self.faults: list[TileFault] = []
        self.more = 0

    def take(self, tile: Tile, *, is_last: bool) -> bool:
        """Take the next tile of leaves; tells whether it has the shape that it must have."""
        for missing in range(self._leaf_tiles, min(tile.index, self._leaf_tiles + MAX_FAULTS)):
            self._found(0, missing, "is missing")
        self._leaf_tiles = tile.index + 1
        return self._take(tile, is_full=not is_last)

    def finish(self, spans: Sequence[TileSpan], size: int) -> None:
        """Look at what is left; ``spans`` are all stored tiles, and then there were ``size`` leaves (count)."""
        level = 1
        while level in self._above:
            self._compare(level, is_last=True)
            level += 1
        for span in spans:
            hashes = size >> TILE_LEVEL * span.level if span.level in _LEVELS else 0
            tiles = range(-(-hashes // TILE_WIDTH))
            for index in dict.fromkeys((span.first, span.last)):
                if index not in tiles:
                    self._found(span.level, index, f"belongs to no tree of {size} leaves")

    def _take(self, tile: Tile, *, is_full: bool) -> bool:
        wrong = _wrong_shape(tile, is_full=is_full)
        if wrong:
            self._found(tile.level, tile.index, wrong)
        if wrong or tile.count == TILE_WIDTH:
            index, at = divmod(tile.index, TILE_WIDTH)
            above = self._above.get(tile.level + 1)
            if above is not None and above.index != index:
                self._compare(tile.level + 1, is_last=False)
            above = self._above.setdefault(tile.level + 1, _Above(index, {}))
            above.entries[at] = None if wrong else _summed(tile)
        return not wrong

    def _compare(self, level: int, *, is_last: bool) -> None:
        above = self._above.pop(level)
        index, entries = above.index, above.entries
        tile = self._read(level, index)
        if tile is None:
            if any(entries.values()):
                self._found(level, index, "is missing")
        elif self._take(tile, is_full=not is_last):
            wrong = [at for at, entry in entries.items() if entry not in (None, _entry(tile, at))]
            if wrong:
                below = ", ".join(str(index * TILE_WIDTH + at) for at in wrong[:5]) + (", …" if wrong[5:] else "")
                self._found(level, index, f"is not what the tiles of level {level - 1} below it come to: {below}")
            elif is_last:
                self._excess(tile, max(entries) + 1)

    def _excess(self, tile: Tile, known: int) -> None:
        """What an upper tile at the edge has beyond the tiles below it must have grown meanwhile."""
        for at in range(known, tile.count):
            below = self._read(tile.level - 1, tile.index * TILE_WIDTH + at)
            if below is None or _wrong_shape(below, is_full=True) or _entry(tile, at) != _summed(below):
                self._found(tile.level, tile.index, f"has {tile.count} hashes, and only {at} are of tiles below it")
                return

    def _found(self, level: int, index: int, what: str) -> None:
        if len(self.faults) < MAX_FAULTS:
            self.faults.append(TileFault(level, index, what))
        else:
            self.more += 1


@dataclass(frozen=True, slots=True)
class _Above:
    """What tiles come to, as the tile above them must have it, by place in it; ``None`` for one that is no tile."""

    index: int
    entries: dict[int, bytes | None]


def _wrong_shape(tile: Tile, *, is_full: bool) -> str | None:
    if len(tile.hashes) % HASH_BYTES or not tile.hashes:
        return f"has {len(tile.hashes)} bytes of hashes, {HASH_BYTES} each"
    if len(tile.positions) != tile.count * POSITION_BYTES:
        return f"has {tile.count} hashes and {len(tile.positions)} bytes of positions, {POSITION_BYTES} each"
    if tile.count > TILE_WIDTH or (is_full and tile.count < TILE_WIDTH):
        return f"has {tile.count} hashes, and should have {TILE_WIDTH}"
    return None if _rises(unpacked(tile.positions)) else "has positions that do not rise"


def _rises(positions: Collection[int]) -> bool:
    return list(positions) == sorted(set(positions))


def _entry(tile: Tile, at: int) -> bytes:
    hashes = tile.hashes[at * HASH_BYTES : (at + 1) * HASH_BYTES]
    return hashes + tile.positions[at * POSITION_BYTES : (at + 1) * POSITION_BYTES]


def _summed(tile: Tile) -> bytes:
    return complete_root(tile.hashes) + tile.positions[-POSITION_BYTES:]
