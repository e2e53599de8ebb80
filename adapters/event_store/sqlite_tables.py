"""What stands beside the events in SQLite; moments are whole microseconds since 1970."""

from collections.abc import Sequence
from itertools import chain
from typing import Final

from eventsourcing.sqlite import SQLiteCursor

from domain.chunks import chunks

#: The tables, as they are created.
TABLES: Final = (
    """CREATE TABLE IF NOT EXISTS positions (topic TEXT, epoch TEXT, partition INTEGER, next INTEGER NOT NULL,
       digest TEXT NOT NULL, PRIMARY KEY (topic, epoch, partition)) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS command_outcomes (source TEXT, id TEXT, outcome TEXT NOT NULL,
       recorded_at INTEGER NOT NULL, PRIMARY KEY (source, id)) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS command_outcomes_by_time ON command_outcomes (recorded_at)",
    """CREATE TABLE IF NOT EXISTS due_work (deployment_id TEXT PRIMARY KEY, hash INTEGER NOT NULL,
       due_at INTEGER, version INTEGER NOT NULL, scales INTEGER NOT NULL) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS due_work_by_time ON due_work (due_at)",
    "CREATE TABLE IF NOT EXISTS commits (position INTEGER PRIMARY KEY, committed_at INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS followers (name TEXT PRIMARY KEY, position INTEGER NOT NULL) WITHOUT ROWID",
    """CREATE TABLE IF NOT EXISTS metric_samples (id INTEGER PRIMARY KEY AUTOINCREMENT, deployment_id TEXT NOT NULL,
       received_at INTEGER NOT NULL, newest_at INTEGER NOT NULL, samples BLOB NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS metric_samples_by_deployment ON metric_samples (deployment_id, newest_at)",
    """CREATE TABLE IF NOT EXISTS scaling_evaluations (id INTEGER PRIMARY KEY AUTOINCREMENT,
       deployment_id TEXT NOT NULL, at INTEGER NOT NULL, version INTEGER NOT NULL, watermark INTEGER,
       previous INTEGER NOT NULL, recommended INTEGER, desired INTEGER NOT NULL, memories TEXT,
       samples_until INTEGER, resumed INTEGER NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS scaling_evaluations_by_deployment ON scaling_evaluations (deployment_id, at)",
    # The last one that holds memories may be long ago.
    """CREATE INDEX IF NOT EXISTS scaling_evaluations_with_memories ON scaling_evaluations (deployment_id, at)
       WHERE memories IS NOT NULL""",
    "CREATE TABLE IF NOT EXISTS retention_horizons (name TEXT PRIMARY KEY, before INTEGER NOT NULL) WITHOUT ROWID",
    """CREATE TABLE IF NOT EXISTS tree_tiles (level INTEGER, tile INTEGER, hashes BLOB NOT NULL,
       positions BLOB NOT NULL, PRIMARY KEY (level, tile))""",
    """CREATE TABLE IF NOT EXISTS tree_heads (size INTEGER PRIMARY KEY, position INTEGER NOT NULL, root BLOB NOT NULL,
       at INTEGER NOT NULL, signature BLOB)""",
)

#: Microseconds since 1970 by the database's clock.
CLOCK: Final = "CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)"

#: Rows to a statement (count): so many at once cost a third of what they cost one by one, also by ``executemany``.
ROWS_PER_STATEMENT: Final = 50


def insert(c: SQLiteCursor, statement: str, row: str, rows: Sequence[Sequence[object]]) -> None:
    """Run ``statement`` with so many rows where it says ``{rows}``; ``row`` is how one looks."""
    c.execute(statement.format(rows=",".join([row] * len(rows))), list(chain.from_iterable(rows)))


def insert_all(c: SQLiteCursor, statement: str, row: str, rows: Sequence[Sequence[object]]) -> None:
    """The same for any number of rows."""
    for some in chunks(rows, ROWS_PER_STATEMENT):
        insert(c, statement, row, some)
