"""The log's tree in PostgreSQL, at the same roots as in SQLite."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from adapters.event_store.log_copy import copy_log
from adapters.event_store.log_copy_postgres import PostgresLogPlace
from adapters.event_store.log_copy_sqlite import SQLiteLogPlace
from adapters.event_store.postgres_datastore import LogDatastore
from adapters.event_store.tree_postgres import PostgresTreeStore
from adapters.event_store.tree_reading import log_leaves, tree_leaves
from adapters.event_store.tree_sqlite import SQLiteTreeStore
from domain.audit.proof import prove
from tests.adapters.log_tampering_contract import LogTamperingContract
from tests.adapters.log_tree_contract import LogTreeContract, TreeWorld
from tests.adapters.postgres_store import DEFAULT_LIMITS, PostgresStore


@dataclass
class PostgresWorld(TreeWorld):
    store: PostgresStore

    def change(self, statement: str) -> None:
        self.store.execute(statement.format(e="stored_events", position="notification_id"))


class TestTreeInPostgres(LogTreeContract, LogTamperingContract):
    @pytest.fixture
    def store(self, postgres_url: str) -> Iterator[PostgresStore]:
        store = PostgresStore(postgres_url)
        yield store
        store.close()

    @pytest.fixture
    def world(self, store: PostgresStore) -> Iterator[TreeWorld]:
        log = store.open()
        datastore = LogDatastore(store.address, schema=store.schema, limits=DEFAULT_LIMITS)
        with closing(PostgresTreeStore(datastore)) as tree:
            yield PostgresWorld(log, tree, store)

    def test_a_copied_log_keeps_its_roots_and_its_tree(
        self, world: TreeWorld, store: PostgresStore, tmp_path: Path
    ) -> None:
        heads = world.live()
        copy_log(PostgresLogPlace(store.address, store.schema), SQLiteLogPlace(tmp_path / "log.db"))

        with closing(SQLiteTreeStore(tmp_path / "log.db", is_read_only=True)) as copied:
            proof = prove(heads, log_leaves(copied), tree_leaves(copied))
            copied_heads = copied.heads(after=0, limit=10)

        assert (proof.log.proven_size, list(proof.gaps), proof.tree.size) == (600, [], 620)
        assert copied_heads == heads
