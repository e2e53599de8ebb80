"""Holding a log against heads: whoever is wrong is named, the log or the stored tree."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import permutations

import pytest

from domain.audit.merkle import HASH_BYTES, Frontier, leaf_hash
from domain.audit.proof import Kind, Leaves, prove
from domain.audit.tree_head import TreeHead

HASHES = b"".join(leaf_hash(bytes([number])) for number in range(6))
LOG = Leaves((1, 2, 3, 4, 5, 6), HASHES)


def head(size: int = 6, position: int = 6, root: str | None = None) -> TreeHead:
    frontier = Frontier()
    frontier.extend(HASHES[: size * HASH_BYTES])
    return TreeHead(
        size=size, position=position, root=root or frontier.root().hex(), at=datetime(2026, 3, 1, tzinfo=UTC)
    )


@pytest.mark.parametrize("claimed", [(4, 5), (5, 4)])
def test_a_head_that_ends_at_another_position_than_the_log_is_told_with_the_right_one(claimed: tuple[int, int]) -> None:
    heads = [head(4, position) for position in claimed]

    proof = prove(heads, [LOG], [LOG])

    assert [(each.position, position) for each, position in proof.log.misplaced] == [(5, 4)]
    assert (proof.log.proven_end, proof.log.refuted) == (4, None)


def test_the_position_of_a_head_is_held_against_the_log_also_where_a_piece_of_it_ends() -> None:
    pieces = [Leaves((1, 2, 3), HASHES[: 3 * HASH_BYTES]), Leaves((4, 5, 6), HASHES[3 * HASH_BYTES :])]

    proof = prove([head(3, 3), head(6, 7)], pieces, [LOG])

    assert [(each.size, position) for each, position in proof.log.misplaced] == [(6, 6)]


@pytest.mark.parametrize("heads", list(permutations([head(4, 4), head(4, 4, "0" * 64), head(6, 6)])))
def test_the_order_of_heads_of_one_size_does_not_matter(heads: Sequence[TreeHead]) -> None:
    proof = prove(heads, [LOG], [LOG])

    assert (proof.log.proven_size, proof.log.refuted) == (4, head(4, 4, "0" * 64))


@pytest.mark.parametrize(
    "positions", [(1, 2, 3, 4, 5, 9), (1, 2, 3, 5, 7, 9), (11, 12, 13, 14, 15, 16), (0, 1, 2, 3, 4, 5)]
)
def test_positions_that_are_wrong_in_the_stored_tree_accuse_the_tree_alone(positions: tuple[int, ...]) -> None:
    proof = prove([head()], [LOG], [Leaves(positions, HASHES)])

    assert list(proof.log_gaps()) == []
    assert list(proof.tree_gaps())
    assert proof.log.proven_size == 6


def cut(last: int, *, altered: int | None = None) -> Leaves:
    hashes = [HASHES[at * HASH_BYTES : (at + 1) * HASH_BYTES] for at in range(last)]
    if altered is not None:
        hashes[altered - 1] = leaf_hash(b"altered")
    return Leaves(LOG.positions[:last], b"".join(hashes))


@pytest.mark.parametrize(
    ("log", "tree", "expected"),
    [
        (cut(3), cut(3), [(Kind.UNPROVEN, 3, 3), (Kind.CUT, 4, 6)]),
        (cut(2), cut(0), [(Kind.CUT, 3, 6)]),
        (cut(5, altered=3), cut(0), [(Kind.DIFFERS, 3, 4), (Kind.CUT, 6, 6)]),
        (cut(5, altered=3), cut(5), [(Kind.CUT, 6, 6)]),
        (cut(3), LOG, []),
    ],
    ids=["tree rebuilt", "at a head", "altered as well", "altered, and the tree cut as well", "named by the tree"],
)
def test_a_cut_reaches_to_the_last_head_whatever_else_was_done(
    log: Leaves, tree: Leaves, expected: list[tuple[Kind, int, int]]
) -> None:
    proof = prove([head(2, 2), head(4, 4), head(6, 6)], [log], [tree])

    assert [(gap.kind, gap.first, gap.last) for gap in proof.unlocated] == expected


def test_a_first_event_that_comes_while_both_sides_are_read_is_not_missing() -> None:
    log: list[Leaves] = []

    def log_now() -> Iterator[Leaves]:
        yield from log

    def tree_now() -> Iterator[Leaves]:
        log.append(LOG)
        yield LOG

    proof = prove([], log_now(), tree_now())

    assert list(proof.gaps) == []


def test_events_behind_all_heads_are_missing_by_the_tree_only() -> None:
    longer = Leaves((*LOG.positions, 7), HASHES + leaf_hash(b"7"))

    proof = prove([head()], [LOG], [longer])

    assert [(gap.first, proven) for gap, proven in proof.log_gaps()] == [(7, False)]
    assert list(proof.tree_gaps()) == []
