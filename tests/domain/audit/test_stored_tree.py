"""A stored tree that could not have grown is found, whichever of its tiles was tampered with."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from domain.audit.merkle import leaf_hash
from domain.audit.stored_tree import StoredTreeCheck
from domain.audit.tiles import TILE_WIDTH, Tile, TileSpan, grow, packed

Tiles = dict[tuple[int, int], Tile]

#: Leaves (count) of a tree with a full tile of level 1, one that is not, and one of level 2.
SIZE = 256 * 256 + 300


@pytest.fixture(scope="module")
def grown() -> Mapping[tuple[int, int], Tile]:
    hashes = b"".join([leaf_hash(number.to_bytes(4)) for number in range(SIZE)])
    return {(each.level, each.index): each for each, _ in grow(0, {}, hashes, packed(range(1, SIZE + 1)))}


@pytest.fixture
def tiles(grown: Mapping[tuple[int, int], Tile]) -> Tiles:
    return dict(grown)


def faults(tiles: Tiles) -> list[tuple[int, int]]:
    """Level and index of each tile that is found, in order."""
    check = StoredTreeCheck(lambda level, index: tiles.get((level, index)))
    leaves = sorted(index for level, index in tiles if level == 0)
    for index in leaves:
        check.take(tiles[0, index], is_last=index == leaves[-1])
    spans = [TileSpan(level, 0, min(of), max(of)) for level, of in indexes(tiles).items()]
    check.finish(spans, leaves[-1] * TILE_WIDTH + tiles[0, leaves[-1]].count)
    return [(fault.level, fault.index) for fault in check.faults]


def indexes(tiles: Tiles) -> Mapping[int, list[int]]:
    return {level: [index for at, index in tiles if at == level] for level, _ in tiles}


def other_hash(tile: Tile) -> Tile:
    return replace(tile, hashes=bytes([tile.hashes[0] ^ 1]) + tile.hashes[1:])


def other_position(tile: Tile) -> Tile:
    return replace(tile, positions=tile.positions[:-1] + bytes([tile.positions[-1] ^ 3]))


def half_a_hash(tile: Tile) -> Tile:
    return replace(tile, hashes=tile.hashes[:-16])


def fewer_positions(tile: Tile) -> Tile:
    return replace(tile, positions=tile.positions[:-8])


def one_more(tile: Tile) -> Tile:
    return replace(tile, hashes=tile.hashes + tile.hashes[:32], positions=tile.positions + b"\xff" * 8)


def emptied(tile: Tile) -> Tile:
    return replace(tile, hashes=b"", positions=b"")


def test_a_tree_that_grew_has_no_fault(tiles: Tiles) -> None:
    assert sorted(indexes(tiles)) == [0, 1, 2]
    assert faults(tiles) == []


@pytest.mark.parametrize("place", [(1, 0), (1, 1), (2, 0)])
@pytest.mark.parametrize("tamper", [other_hash, other_position, half_a_hash, fewer_positions, one_more, emptied])
def test_a_tile_above_the_leaves_that_was_tampered_with_is_named(
    tiles: Tiles, place: tuple[int, int], tamper: Callable[[Tile], Tile]
) -> None:
    tiles[place] = tamper(tiles[place])

    assert place in faults(tiles)


@pytest.mark.parametrize(
    ("place", "tamper"),
    [
        *((place, tamper) for place in [(0, 5), (0, 256)] for tamper in (half_a_hash, one_more, emptied)),
        *(((0, 257), tamper) for tamper in (half_a_hash, fewer_positions, emptied)),
    ],
)
def test_a_tile_of_leaves_that_is_no_tile_is_named(
    tiles: Tiles, place: tuple[int, int], tamper: Callable[[Tile], Tile]
) -> None:
    tiles[place] = tamper(tiles[place])

    assert place in faults(tiles)


@pytest.mark.parametrize("place", [(0, 0), (0, 9), (1, 0), (1, 1), (2, 0)])
def test_a_tile_that_is_gone_is_named(tiles: Tiles, place: tuple[int, int]) -> None:
    del tiles[place]

    assert place in faults(tiles)


@pytest.mark.parametrize("place", [(1, 2), (2, 1), (3, 0), (-1, 0), (1, -1), (99, 0)])
def test_a_tile_that_no_leaves_lead_to_is_named(tiles: Tiles, place: tuple[int, int]) -> None:
    tiles[place] = replace(tiles[1, 1], level=place[0], index=place[1])

    assert faults(tiles) == [place]


def test_a_tree_that_grows_while_it_is_looked_at_has_no_fault(tiles: Tiles) -> None:
    check = StoredTreeCheck(lambda level, index: tiles.get((level, index)))

    for index in range(100):
        check.take(tiles[0, index], is_last=index == 99)
    check.finish([TileSpan(level, 0, min(of), max(of)) for level, of in indexes(tiles).items()], SIZE)

    assert check.faults == []
