"""The log's tree in SQLite."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from adapters.event_store.event_log import open_sqlite_log
from adapters.event_store.tree_reading import log_leaves, tree_leaves
from adapters.event_store.tree_sqlite import SQLiteTreeStore
from adapters.event_store.tree_store import TreeMissing
from domain.audit.proof import prove
from domain.audit.stored_tree import StoredTreeCheck
from domain.audit.tiles import GrownTile, Tile, TreeDamaged
from tests.adapters.log_tampering_contract import LogTamperingContract
from tests.adapters.log_tree_contract import LogTreeContract, TreeWorld


@dataclass
class SQLiteWorld(TreeWorld):
    file: Path

    def change(self, statement: str) -> None:
        with closing(sqlite3.connect(self.file)) as connection, connection:
            connection.execute(statement.format(e="stored_events", position="rowid"))


class TestTreeInSQLite(LogTreeContract, LogTamperingContract):
    @pytest.fixture
    def world(self, tmp_path: Path) -> Iterator[TreeWorld]:
        file = tmp_path / "log.db"
        with closing(open_sqlite_log(file)) as log, closing(SQLiteTreeStore(file)) as tree:
            yield SQLiteWorld(log, tree, file)

    @pytest.mark.parametrize(
        "planted",
        [
            "topic = CAST(X'ff' AS TEXT)",
            "state = NULL",
            "originator_id = upper(originator_id)",
            "originator_id = 'x'",
            "originator_version = 'x'",
        ],
    )
    def test_a_row_that_no_type_holds_together_is_named_as_well(self, world: TreeWorld, planted: str) -> None:
        heads = world.live()
        world.change(f"UPDATE {{e}} SET {planted} WHERE {{position}} = 350")

        assert [(gap.first, proven) for gap, proven in world.prove(heads).log_gaps()] == [(350, True)]

    @pytest.mark.parametrize("column", ["originator_id", "topic"])
    def test_text_that_became_bytes_is_another_row_to_sqlite_and_named(self, world: TreeWorld, column: str) -> None:
        heads = world.live()
        world.change(f"UPDATE {{e}} SET {column} = CAST({column} AS BLOB) WHERE {{position}} = 350")

        assert [(gap.first, proven) for gap, proven in world.prove(heads).log_gaps()] == [(350, True)]

    @pytest.mark.parametrize(
        "planted", ["hashes = 5", "positions = 'x'", "tile = 'abc'", "level = 'abc'", "tile = 1.5"]
    )
    def test_a_tile_that_no_type_holds_together_is_found(self, world: TreeWorld, planted: str) -> None:
        heads = world.live()
        world.change(f"UPDATE tree_tiles SET {planted} WHERE level = 0 AND tile = 1")
        check = StoredTreeCheck(world.tree.tile)

        proof = prove(heads, log_leaves(world.tree), tree_leaves(world.tree, check))

        assert check.faults
        assert (proof.log.proven_size, list(proof.log_gaps())) == (600, [])

    def test_the_tree_stands_still_before_a_row_that_is_no_event(self, world: TreeWorld) -> None:
        world.append(3)
        world.change("UPDATE {e} SET state = NULL WHERE {position} = 2")

        with pytest.raises(TreeDamaged, match="position 2"):
            world.keeper.step()


def test_a_log_from_before_there_was_a_tree_has_an_empty_one_to_which_nothing_is_written(tmp_path: Path) -> None:
    file = tmp_path / "log.db"
    sqlite3.connect(file).close()

    with closing(SQLiteTreeStore(file)) as tree:
        assert (tree.last_head(), tree.last_leaf_tile(), tree.tile_spans()) == (None, None, [])
        with pytest.raises(TreeMissing, match=r"log\.db"):
            tree.extend([GrownTile(Tile(0, 0, bytes(32), bytes(8)), 0)])
