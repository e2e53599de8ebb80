"""What the log's tree must do on every event store: follow the log, and betray whoever tampers with either."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from adapters.event_store.event_log import RecorderEventLog
from adapters.event_store.tree_keeper import TreeFollower, TreeKeeper, TreeLimits
from adapters.event_store.tree_reading import log_leaves, tree_leaves
from adapters.event_store.tree_store import TreeStore
from domain.audit.merkle import inclusion_proof, leaf_hash, verify_inclusion
from domain.audit.proof import Kind, Proof, prove
from domain.audit.tiles import TiledTree, TreeDamaged
from domain.audit.tree_head import TreeHead
from handlers.ports import LogBatch
from tests.adapters.event_log_support import event

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)

#: The log of these tests has events in three parts, with a head after each of the first two (counts).
PARTS = (300, 300, 20)


@dataclass
class TreeWorld:
    """A log and its tree, and a way to change both behind their backs."""

    log: RecorderEventLog
    tree: TreeStore

    def change(self, statement: str) -> None:
        """Run a statement; ``{position}`` stands for the column of positions, ``{e}`` for the table of events."""
        raise NotImplementedError

    @property
    def keeper(self) -> TreeKeeper:
        return TreeKeeper(self.tree, batch_size=100)

    def append(self, count: int) -> None:
        stream = uuid4()
        some = [event(stream, version, f"the {version}th of {count}") for version in range(1, count + 1)]
        asyncio.run(self.log.append(LogBatch(events=some)))

    def follow(self) -> None:
        while self.keeper.step():
            pass

    def heads(self) -> Sequence[TreeHead]:
        return list(self.keeper.heads())

    def positions(self) -> Sequence[int]:
        return [position for leaves in log_leaves(self.tree) for position in leaves.positions]

    def prove(self, heads: Sequence[TreeHead]) -> Proof:
        return prove(heads, log_leaves(self.tree), tree_leaves(self.tree))

    def live(self) -> Sequence[TreeHead]:
        """Append all parts and give the heads."""
        for number, count in enumerate(PARTS):
            self.append(count)
            self.follow()
            if number < len(PARTS) - 1:
                assert self.keeper.write_head(AT + timedelta(minutes=number))
        return self.heads()

    def forge_tree(self) -> None:
        """Rebuild the tree and its heads from the log as it is now, as somebody would who covers his tracks."""
        self.change("DELETE FROM tree_tiles")
        self.change("DELETE FROM tree_heads")
        self.follow()
        self.keeper.write_head(AT)


def found(proof: Proof) -> list[tuple[Kind, int, int, bool]]:
    return [(gap.kind, gap.first, gap.last, proven) for gap, proven in proof.log_gaps()]


#: How events are tampered with, and what is to be found: kinds with positions.
TAMPERING = {
    "altered": (
        "UPDATE {e} SET state = (SELECT state FROM {e} WHERE {position} = 9) WHERE {position} = 350",
        [(Kind.ALTERED, 350, 350, True)],
    ),
    "renamed": ("UPDATE {e} SET topic = 'another.v1' WHERE {position} = 350", [(Kind.ALTERED, 350, 350, True)]),
    "moved to another version": (
        "UPDATE {e} SET originator_version = 9999 WHERE {position} = 350",
        [(Kind.ALTERED, 350, 350, True)],
    ),
    "removed": ("DELETE FROM {e} WHERE {position} BETWEEN 350 AND 352", [(Kind.REMOVED, 350, 352, True)]),
    "inserted before all": (
        """INSERT INTO {e} ({position}, originator_id, originator_version, topic, state)
           SELECT -3, originator_id, 7777, topic, state FROM {e} WHERE {position} = 1""",
        [(Kind.INSERTED, -3, -3, True)],
    ),
    "inserted where one was": (
        "UPDATE {e} SET {position} = -1 WHERE {position} = 350",
        [(Kind.INSERTED, -1, -1, True), (Kind.REMOVED, 350, 350, True)],
    ),
    "behind the last head": ("DELETE FROM {e} WHERE {position} = 610", [(Kind.REMOVED, 610, 610, False)]),
}


class LogTreeContract:
    """Give a fixture ``world`` to run it on a store; its positions must have no gaps."""

    @pytest.fixture
    def world(self) -> Iterator[TreeWorld]:
        raise NotImplementedError

    def test_a_log_that_nobody_touched_is_proven_to_its_last_head(self, world: TreeWorld) -> None:
        heads = world.live()

        proof = world.prove(heads)

        assert [head.size for head in heads] == [300, 600]
        assert (proof.log.size, proof.log.proven_size, proof.log.refuted) == (620, 600, None)
        assert (list(proof.gaps), list(proof.unlocated), proof.tree.proven_size) == ([], [], 600)

    def test_gaps_between_positions_are_nothing_special(self, world: TreeWorld) -> None:
        world.append(10)
        world.change("DELETE FROM {e} WHERE {position} IN (1, 2, 7)")
        world.follow()
        head = world.keeper.write_head(AT)

        assert head is not None
        assert (head.size, head.position) == (7, 10)
        assert world.prove([head]).log.proven_size == 7

    @pytest.mark.parametrize("how", TAMPERING)
    def test_each_event_that_was_tampered_with_is_named(self, world: TreeWorld, how: str) -> None:
        statement, expected = TAMPERING[how]
        heads = world.live()
        world.change(statement)

        proof = world.prove(heads)

        assert found(proof) == expected
        assert list(proof.tree_gaps()) == []
        assert list(proof.unlocated) == []

    def test_events_that_changed_places_are_both_named(self, world: TreeWorld) -> None:
        heads = world.live()
        for old, new in ((350, -1), (360, 350), (-1, 360)):
            world.change(f"UPDATE {{e}} SET {{position}} = {new} WHERE {{position}} = {old}")

        assert found(world.prove(heads)) == [(Kind.ALTERED, 350, 350, True), (Kind.ALTERED, 360, 360, True)]

    def test_two_states_that_were_exchanged_are_both_named(self, world: TreeWorld) -> None:
        heads = world.live()
        world.change("CREATE TABLE kept AS SELECT {position} AS p, state FROM {e} WHERE {position} IN (350, 360)")
        exchanged = "(SELECT state FROM kept WHERE p = 710 - {e}.{position})"
        world.change(f"UPDATE {{e}} SET state = {exchanged} WHERE {{position}} IN (350, 360)")

        assert [position for _, position, _, _ in found(world.prove(heads))] == [350, 360]

    def test_a_tail_that_was_cut_is_named_by_the_stored_tree(self, world: TreeWorld) -> None:
        heads = world.live()
        world.change("DELETE FROM {e} WHERE {position} > 500")

        proof = world.prove(heads)

        assert found(proof) == [(Kind.REMOVED, 501, 600, True), (Kind.REMOVED, 601, 620, False)]

    def test_what_was_cut_and_written_anew_is_named(self, world: TreeWorld) -> None:
        heads = world.live()
        world.change("DELETE FROM {e} WHERE {position} > 500")
        world.append(200)

        assert found(world.prove(heads))[0][1] == 501

    def test_heads_kept_elsewhere_tell_between_which_of_them_even_where_the_tree_was_forged(
        self, world: TreeWorld
    ) -> None:
        heads = world.live()
        world.change("UPDATE {e} SET state = 'x' WHERE {position} = 350")
        world.forge_tree()

        proof = world.prove([*heads, *world.heads()])

        assert proof.log.proven == heads[0]
        assert list(proof.gaps) == []
        assert [(gap.kind, gap.first, gap.last) for gap in proof.unlocated] == [(Kind.DIFFERS, 301, 600)]

    def test_a_cut_tail_is_found_even_where_the_tree_was_forged(self, world: TreeWorld) -> None:
        heads = world.live()
        world.change("DELETE FROM {e} WHERE {position} > 500")
        world.forge_tree()

        found = [(gap.kind, gap.first, gap.last) for gap in world.prove(heads).unlocated]

        assert found == [(Kind.UNPROVEN, 301, 500), (Kind.CUT, 501, 600)]

    def test_a_tree_that_was_tampered_with_does_not_accuse_the_log(self, world: TreeWorld) -> None:
        heads = world.live()
        world.change("DELETE FROM tree_tiles WHERE level = 0 AND tile = 1")

        proof = world.prove(heads)

        assert proof.log.proven_size == 600
        assert [(gap.first, gap.last) for gap in proof.tree_gaps()] == [(257, 300), (301, 512)]
        assert found(proof) == []

    def test_no_head_is_written_that_contradicts_the_last_one(self, world: TreeWorld) -> None:
        world.live()
        world.change("UPDATE {e} SET state = 'x' WHERE {position} = 350")
        world.change("DELETE FROM tree_tiles")
        world.follow()

        with pytest.raises(TreeDamaged, match="does not go on from the head of 600"):
            world.keeper.write_head(AT)

    def test_of_two_who_extend_the_tree_at_once_one_is_refused(self, world: TreeWorld) -> None:
        world.append(5)
        keeper, first = world.keeper, world.tree.rows
        grown: list[bool] = []

        class Overtaken:
            def __getattr__(self, name: str) -> object:
                return getattr(world.tree, name)

            def extend(self, tiles: object) -> bool:
                keeper.step()
                grown.append(world.tree.extend(tiles))  # type: ignore[arg-type] # as the keeper gives them
                return grown[-1]

        slow = TreeKeeper(Overtaken(), batch_size=100)  # type: ignore[arg-type] # stands in for a store

        assert slow.step()
        assert grown == [False]
        assert world.keeper.end().size == len(first(after=None, limit=10)) == 5

    def test_proofs_from_stored_tiles_lead_to_stored_heads(self, world: TreeWorld) -> None:
        head = world.live()[-1]
        tree = TiledTree(head.size, world.tree.tile)
        rows = world.tree.rows(after=None, limit=1000)

        for index in (0, 255, 256, 599):
            proof = inclusion_proof(index, head.size, tree.node)
            leaf = leaf_hash(rows[index].data)
            assert tree.index_of(rows[index].position) == index
            assert verify_inclusion(leaf, index, head.size, proof, head.root_bytes)

    def test_a_follower_goes_to_the_end_and_writes_a_head_when_it_stops(self, world: TreeWorld) -> None:
        async def follow() -> None:
            stop = asyncio.Event()
            stop.set()
            await TreeFollower(world.keeper, clock=lambda: AT, limits=TreeLimits()).run(stop, asyncio.Event())

        world.append(250)
        asyncio.run(follow())
        asyncio.run(follow())

        assert [head.size for head in world.heads()] == [250]
