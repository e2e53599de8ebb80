"""Holding a log against heads: whoever is wrong is named, the log or the stored tree."""

from datetime import UTC, datetime

import pytest

from domain.audit.merkle import Frontier, leaf_hash
from domain.audit.proof import Leaves, prove
from domain.audit.tree_head import TreeHead

HASHES = b"".join(leaf_hash(bytes([number])) for number in range(6))
LOG = Leaves((1, 2, 3, 4, 5, 6), HASHES)


def head() -> TreeHead:
    frontier = Frontier()
    frontier.extend(HASHES)
    return TreeHead(size=6, position=6, root=frontier.root().hex(), at=datetime(2026, 3, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    "positions", [(1, 2, 3, 4, 5, 9), (1, 2, 3, 5, 7, 9), (11, 12, 13, 14, 15, 16), (0, 1, 2, 3, 4, 5)]
)
def test_positions_that_are_wrong_in_the_stored_tree_accuse_the_tree_alone(positions: tuple[int, ...]) -> None:
    proof = prove([head()], [LOG], [Leaves(positions, HASHES)])

    assert list(proof.log_gaps()) == []
    assert list(proof.tree_gaps())
    assert proof.log.proven_size == 6


def test_events_behind_all_heads_are_missing_by_the_tree_only() -> None:
    longer = Leaves((*LOG.positions, 7), HASHES + leaf_hash(b"7"))

    proof = prove([head()], [LOG], [longer])

    assert [(gap.first, proven) for gap, proven in proof.log_gaps()] == [(7, False)]
    assert list(proof.tree_gaps()) == []
