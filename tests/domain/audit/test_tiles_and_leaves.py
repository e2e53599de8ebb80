"""Tiles give what the whole tree gives; leaves mean one event each."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.audit.leaf import Leaf, LeafInvalid, leaf_bytes, parse_leaf
from domain.audit.merkle import Frontier, inclusion_proof, leaf_hash, verify_inclusion
from domain.audit.tiles import Tile, TiledTree, TreeDamaged, edge_of, grow, packed

STREAM = UUID("0198c0de-4f1a-7000-8000-00000000c4a7")


class Shelf:
    """Tiles in memory."""

    def __init__(self) -> None:
        self.tiles: dict[tuple[int, int], Tile] = {}

    def read(self, level: int, index: int) -> Tile | None:
        return self.tiles.get((level, index))

    def add(self, size: int, hashes: list[bytes], positions: list[int]) -> None:
        edge = {level: self.tiles[level, index] for level, index in edge_of(size)}
        for tile, before in grow(size, edge, b"".join(hashes), packed(positions)):
            there = self.tiles.get((tile.level, tile.index))
            assert (there.count if there else 0) == before
            self.tiles[tile.level, tile.index] = tile


@given(st.lists(st.sampled_from([1, 3, 255, 256, 257, 2048, 30_000]), min_size=1, max_size=5), st.data())
def test_tiles_give_roots_proofs_and_places_however_they_grew(pieces: list[int], data: st.DataObject) -> None:
    shelf, frontier = Shelf(), Frontier()
    total = sum(pieces)
    hashes = [leaf_hash(number.to_bytes(4)) for number in range(total)]
    positions = [number * 2 + 5 for number in range(total)]
    at = 0
    for piece in pieces:
        shelf.add(at, hashes[at : at + piece], positions[at : at + piece])
        at += piece
    size = data.draw(st.integers(1, total))
    frontier.extend(b"".join(hashes[:size]))

    tree = TiledTree(size, shelf.read, cached=3)

    assert tree.root() == frontier.root()
    for index in {0, size - 1, data.draw(st.integers(0, size - 1))}:
        assert tree.index_of(positions[index]) == index
        assert tree.index_of(positions[index] + 1) is None
        assert verify_inclusion(hashes[index], index, size, inclusion_proof(index, size, tree.node), frontier.root())
    assert tree.index_of(0) is None
    assert tree.index_of(2 * total + 5) is None


def test_a_tile_that_is_gone_or_too_short_is_said_to_be() -> None:
    shelf = Shelf()
    shelf.add(0, [leaf_hash(b"")] * 10, list(range(1, 11)))

    with pytest.raises(TreeDamaged, match="tile 0 of level 0"):
        TiledTree(11, shelf.read).root()


events = st.builds(
    Leaf,
    position=st.integers(0, 2**63 - 1),
    stream_id=st.uuids(),
    version=st.integers(0, 2**63 - 1),
    topic=st.text(),
    state=st.binary(),
)


def data_of(leaf: Leaf) -> bytes:
    return leaf_bytes(leaf.position, leaf.stream_id.bytes, leaf.version, leaf.topic.encode(), leaf.state)


@given(events)
def test_a_leaf_is_read_back_as_it_was(leaf: Leaf) -> None:
    assert parse_leaf(data_of(leaf)) == leaf


@given(events, events)
def test_two_events_have_the_same_bytes_only_if_they_are_the_same(one: Leaf, other: Leaf) -> None:
    assert (data_of(one) == data_of(other)) == (one == other)


def test_the_bytes_of_a_leaf_are_these_for_ever() -> None:
    data = leaf_bytes(7, STREAM.bytes, 2, b"deployment.created.v1", b"{}")

    assert data.hex() == (
        "0100000000000000070198c0de4f1a7000800000000000c4a70000000000000002"
        "000000156465706c6f796d656e742e637265617465642e7631000000027b7d"
    )  # fmt: skip


@pytest.mark.parametrize("change", [lambda d: d[:-1], lambda d: d + b"x", lambda d: b"\2" + d[1:], lambda d: d[:20]])
def test_what_is_not_exactly_a_leaf_is_refused(change: object) -> None:
    data = leaf_bytes(7, STREAM.bytes, 2, b"type", b"{}")

    with pytest.raises(LeafInvalid):
        parse_leaf(change(data))  # type: ignore[operator] # one of the above


@pytest.mark.parametrize(
    "row",
    [
        (-1, STREAM.bytes, 1, b"t", b""),
        (1, b"", 1, b"t", b""),
        (1, STREAM.bytes, "1", b"t", b""),
        (1, STREAM.bytes, 1, None, b""),
        (1, STREAM.bytes, 1, b"t", None),
        (1, STREAM.bytes, 1, b"t", 5),
    ],
)
def test_a_damaged_row_is_no_leaf(row: tuple[int, bytes, int, bytes, bytes]) -> None:
    with pytest.raises(LeafInvalid, match="position"):
        leaf_bytes(*row)
