"""Both sides of a verification, in equal pieces: the log's rows, hashed anew, and the leaves of the stored tree."""

from collections.abc import Callable, Iterator
from typing import Final

from adapters.event_store.tree_store import TreeStore
from domain.audit.proof import Leaves
from domain.audit.stored_tree import StoredTreeCheck
from domain.audit.tiles import TILE_WIDTH, unpacked

_TILES_AT_ONCE: Final = 8
_ROWS_AT_ONCE: Final = _TILES_AT_ONCE * TILE_WIDTH


def log_leaves(store: TreeStore, heard: Callable[[int], None] = lambda _: None) -> Iterator[Leaves]:
    """All rows of the log as leaves, also those that are no event; ``heard`` is told how many (count) were read.

    Raises what the store raises.
    """
    after = None
    while (leaves := store.leaves(after=after, limit=_ROWS_AT_ONCE)).positions:
        after = leaves.positions[-1]
        yield leaves
        heard(len(leaves.positions))


def tree_leaves(store: TreeStore, check: StoredTreeCheck | None = None) -> Iterator[Leaves]:
    """All leaves of the stored tree as it is now; tiles that are none are passed over, and found by the ``check``.

    Raises what the store raises.
    """
    check = check or StoredTreeCheck(store.tile)
    last = store.last_leaf_tile()
    first, end = 0, 0 if last is None else last.index
    while tiles := [tile for tile in store.leaf_tiles(first=first, count=_TILES_AT_ONCE) if tile.index <= end]:
        first = tiles[-1].index + 1
        # The last one may have grown meanwhile, which a verification of what was there need not wait for.
        asked = [last if last is not None and tile.index == end else tile for tile in tiles]
        whole = [tile for tile in asked if check.take(tile, is_last=tile.index == end)]
        positions = tuple([position for tile in whole for position in unpacked(tile.positions)])
        yield Leaves(positions, b"".join([tile.hashes for tile in whole]))
    spans, last = store.tile_spans(), store.last_leaf_tile()
    check.finish(spans, last.index * TILE_WIDTH + last.count if last else 0)
