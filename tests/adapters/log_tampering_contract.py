"""Tampering at random places, on every event store: also by somebody who writes the tree and its heads anew."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from random import Random

import pytest

from adapters.event_store.tree_reading import log_leaves, tree_leaves
from adapters.event_store.tree_store import TreeMissing, TreeUnusable
from domain.audit.proof import Gap, Kind, Proof, prove
from domain.audit.stored_tree import StoredTreeCheck
from domain.audit.tiles import TreeDamaged
from domain.audit.tree_head import TreeHead
from tests.adapters.log_tree_contract import AT, PARTS, TreeWorld, found

#: Every so many positions are left free, so that something can be inserted.
FREE = 7

#: How stored tiles are tampered with, and the level and index of the one that is to be named.
TILES = {
    "UPDATE tree_tiles SET hashes = positions WHERE level = 1": (1, 0),
    "UPDATE tree_tiles SET positions = hashes WHERE level = 1": (1, 0),
    "UPDATE tree_tiles SET positions = hashes WHERE level = 0 AND tile = 1": (0, 1),
    "DELETE FROM tree_tiles WHERE level = 1": (1, 0),
    "DELETE FROM tree_tiles WHERE level = 0 AND tile = 0": (0, 0),
    "INSERT INTO tree_tiles SELECT 3, 0, hashes, positions FROM tree_tiles WHERE level = 1": (3, 0),
    "INSERT INTO tree_tiles SELECT 0, -5, hashes, positions FROM tree_tiles WHERE level = 1": (0, -5),
}


@dataclass
class Tampered:
    """What somebody did to the log: to which positions, and what it is called."""

    kind: Kind
    positions: Sequence[int]


def tamper(world: TreeWorld, how: str, random: Random) -> Tampered:
    positions = world.positions()
    one, other = random.sample(positions, 2)
    match how:
        case "altered":
            world.change(f"UPDATE {{e}} SET state = 'x' WHERE {{position}} = {one}")
            return Tampered(Kind.ALTERED, [one])
        case "removed":
            world.change(f"DELETE FROM {{e}} WHERE {{position}} = {one}")
            return Tampered(Kind.REMOVED, [one])
        case "inserted":
            free = random.choice([each for each in range(1, positions[-1]) if each not in positions])
            world.change(
                f"INSERT INTO {{e}} ({{position}}, originator_id, originator_version, topic, state) "
                f"SELECT {free}, originator_id, 7777, topic, state FROM {{e}} WHERE {{position}} = {one}"
            )
            return Tampered(Kind.INSERTED, [free])
        case "reordered":
            for old, new in ((one, -1), (other, one), (-1, other)):
                world.change(f"UPDATE {{e}} SET {{position}} = {new} WHERE {{position}} = {old}")
            return Tampered(Kind.ALTERED, sorted([one, other]))
        case _:
            world.change(f"DELETE FROM {{e}} WHERE {{position}} >= {one}")
            return Tampered(Kind.REMOVED, [each for each in positions if each >= one])


def live(world: TreeWorld) -> Sequence[TreeHead]:
    """A log with gaps between positions, and heads that are kept elsewhere."""
    for number, count in enumerate(PARTS):
        world.append(count)
        world.change(f"DELETE FROM {{e}} WHERE {{position}} / {FREE} * {FREE} = {{position}}")
        world.follow()
        if number < len(PARTS) - 1:
            assert world.keeper.write_head(AT + timedelta(minutes=number))
    return world.heads()


def named(gaps: Sequence[Gap], positions: Sequence[int]) -> list[int]:
    return [each for each in positions if any(gap.first <= each <= gap.last for gap in gaps)]


def spans(proof: Proof) -> list[tuple[Kind, int, int]]:
    return [(gap.kind, gap.first, gap.last) for gap in proof.unlocated]


class LogTamperingContract:
    """Give a fixture ``world`` to run it on a store."""

    @pytest.fixture
    def world(self) -> Iterator[TreeWorld]:
        raise NotImplementedError

    @pytest.mark.parametrize("seed", range(3))
    @pytest.mark.parametrize("how", ["altered", "removed", "inserted", "reordered", "cut"])
    def test_what_was_tampered_with_is_named_whatever_else_was_rewritten(
        self, world: TreeWorld, how: str, seed: int
    ) -> None:
        heads = live(world)
        before = world.positions()
        done = tamper(world, how, Random(f"{how} {seed}"))

        gaps = list(world.prove(heads).log_gaps())
        assert {gap.kind for gap, _ in gaps} == {done.kind}
        assert named([gap for gap, _ in gaps], sorted({*before, *done.positions})) == done.positions
        assert [proven for _, proven in gaps] == [gap.first <= heads[-1].position for gap, _ in gaps]

        world.forge_tree()
        proof, first = world.prove(heads), done.positions[0]
        whole = [head for head in heads if head.position < first]
        broken = [head for head in heads if head.position >= first]
        assert proof.log.proven == (whole[-1] if whole else None)
        assert list(proof.log_gaps()) == []
        assert spans(proof) == self.expected(how, whole, broken, world.positions())
        assert not broken or first in named(proof.unlocated, [first])

    def expected(
        self, how: str, whole: Sequence[TreeHead], broken: Sequence[TreeHead], left: Sequence[int]
    ) -> list[tuple[Kind, int, int]]:
        """What heads alone tell: between which of them, or from where on there is nothing."""
        if not broken:
            return []
        begin, end = (whole[-1].position if whole else 0) + 1, broken[0].position
        if how != "cut":
            return [(Kind.DIFFERS, begin, end)]
        last = left[-1] if left else 0
        unproven = [(Kind.UNPROVEN, begin, last)] if last >= begin else []
        return [*unproven, (Kind.CUT, last + 1, broken[-1].position)]

    @pytest.mark.parametrize("statement", TILES)
    def test_a_stored_tile_that_was_tampered_with_is_named_at_any_level(self, world: TreeWorld, statement: str) -> None:
        heads = world.live()
        world.change(statement)
        check = StoredTreeCheck(world.tree.tile)

        proof = prove(heads, log_leaves(world.tree), tree_leaves(world.tree, check))

        assert [(fault.level, fault.index) for fault in check.faults] == [TILES[statement]]
        assert (proof.log.proven_size, list(proof.log_gaps())) == (600, [])

    def test_a_log_with_fewer_events_that_goes_on_behind_the_head_was_not_cut(self, world: TreeWorld) -> None:
        heads = world.live()
        world.change("DELETE FROM {e} WHERE {position} BETWEEN 350 AND 480")
        world.forge_tree()

        assert spans(world.prove(heads)) == [(Kind.DIFFERS, 301, 600)]

    def test_what_was_inserted_before_all_lies_where_heads_say_that_something_differs(self, world: TreeWorld) -> None:
        heads = world.live()
        world.change("UPDATE {e} SET {position} = -3 WHERE {position} = 9")
        world.change("DELETE FROM tree_tiles")

        assert spans(world.prove(heads)) == [(Kind.DIFFERS, -3, 300)]

    def test_heads_tell_what_they_know_also_where_the_tables_of_the_tree_are_gone(self, world: TreeWorld) -> None:
        """Heads need only the events; a tree that is missing is one without leaves."""
        heads = world.live()
        world.change("UPDATE {e} SET state = 'x' WHERE {position} = 350")
        for table in ("tree_heads", "tree_tiles"):
            world.change(f"DROP TABLE {table}")

        proof = world.prove(heads)

        assert (proof.tree.size, proof.log.proven, spans(proof)) == (0, heads[0], [(Kind.DIFFERS, 301, 600)])
        assert (world.heads(), world.tree.last_head()) == ([], None)
        with pytest.raises(TreeMissing):
            world.keeper.step()

    def test_a_log_of_which_the_table_is_gone_is_one_that_was_cut_before_its_first_event(
        self, world: TreeWorld
    ) -> None:
        heads = world.live()
        world.change("DROP TABLE {e}")

        assert [(kind, proven) for kind, *_, proven in found(world.prove(heads))] == [
            (Kind.REMOVED, True),
            (Kind.REMOVED, True),
            (Kind.REMOVED, False),
        ]

    def test_a_table_of_another_shape_is_said_to_be_one(self, world: TreeWorld) -> None:
        world.change("ALTER TABLE tree_heads RENAME COLUMN root TO stem")

        with pytest.raises(TreeUnusable, match="root"):
            world.heads()

    @pytest.mark.parametrize("size", [-(2**63), -5, 0])
    def test_a_planted_head_of_no_events_is_seen(self, world: TreeWorld, size: int) -> None:
        world.live()
        world.change(f"INSERT INTO tree_heads SELECT {size}, position, root, at, signature FROM tree_heads LIMIT 1")

        with pytest.raises(TreeDamaged, match=f"head of size {size} is none"):
            world.heads()

    def test_a_planted_head_of_as_many_events_as_there_can_be_is_given_as_it_is(self, world: TreeWorld) -> None:
        size = 2**63 - 1
        heads = world.live()
        world.change(f"INSERT INTO tree_heads SELECT {size}, position, root, at, signature FROM tree_heads LIMIT 1")

        assert [each.size for each in world.heads()] == [*(head.size for head in heads), size]
