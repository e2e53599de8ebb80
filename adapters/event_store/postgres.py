"""The event store on PostgreSQL: the library's recorder, and beside its events what commits with them.

An append is two round trips: everything up to the answers that decide about it, then COMMIT.
"""

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from time import monotonic, sleep
from typing import Any, Final

import psycopg
from eventsourcing.persistence import IntegrityError, OperationalError, StoredEvent, Tracking
from psycopg import Connection, Cursor
from psycopg.errors import UniqueViolation
from psycopg.rows import DictRow
from psycopg.sql import Composed

from adapters.event_store.postgres_batch import BatchInsert
from adapters.event_store.postgres_datastore import LogDatastore
from adapters.event_store.postgres_reading import PostgresLogReading, positions_in
from adapters.event_store.postgres_scaling import evaluation_columns, sample_columns
from adapters.event_store.postgres_tables import SIDE_TABLES, channel_of
from adapters.postgres import arrays
from adapters.postgres.schemas import ensure_schema
from adapters.postgres.sending import SendingCursor
from handlers.ports import (
    CommandOutcome,
    DuplicateCommands,
    LogBatch,
    LogUnavailable,
    Position,
    Retained,
    VersionConflict,
)

#: How long to wait before asking again what became of a commit (seconds).
_ASK_AGAIN: Final = 0.1

#: Whoever makes tables holds this advisory lock of PostgreSQL.
_DEFINITION_LOCK: Final = 0x72_6B_6C_6F_67

#: Both hold to the end of a transaction.
_LOCK: Final = "SELECT pg_advisory_xact_lock(%s)"
_SHARE_LOCK: Final = "SELECT pg_advisory_xact_lock_shared(%s)"


class _AnswerLost(Exception):
    """COMMIT was sent, and whether it took effect is not known."""


class PostgresLogRecorder(PostgresLogReading):
    """Commits events together with positions, outcomes, due work and the time of the commit.

    Instead of locking the table, appends hold an advisory lock to the end of their transaction: positions become
    visible in their order, so that nobody who follows the log passes over one, and no privilege beyond INSERT and
    SELECT is needed on it. What has no place in that order is committed beside it, under a lock that all such share.
    """

    def __init__(self, datastore: LogDatastore, *, events_table_name: str = "stored_events") -> None:
        super().__init__(datastore, events_table_name=events_table_name)
        self.channel_name = channel_of(datastore.schema, events_table_name)
        self.lock_key = _key(f"routekeeper log {self.channel_name}")
        self.beside_key = _key(f"routekeeper beside log {self.channel_name}")

    def create_table(self) -> None:
        """Create what is missing."""
        self.create_missing_tables()

    def create_missing_tables(self) -> Sequence[str]:
        """Create what is missing, in one transaction, one process at a time; gives the names of the tables."""
        with self.store.transaction(commit=True) as c:
            c.execute(_LOCK, [_DEFINITION_LOCK])
            missing = self.missing_tables(c.connection)
            ensure_schema(c.connection, self.store.schema)
            if missing:
                self.tracking_table_exists = self.tracking_table_name not in missing
                self.tracking_migration_previous = 1 if self.tracking_table_exists else None
                self._create_table(c)
        return missing

    def missing_tables(self, connection: Connection[DictRow]) -> Sequence[str]:
        """The names of the tables that are not there."""
        names = (self.events_table_name, self.tracking_table_name, *SIDE_TABLES)
        found = connection.execute(
            """SELECT c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
               WHERE n.nspname = %s AND c.relname = ANY(%s)""",
            [self.store.schema, list(names)],
        )
        there = {row["relname"] for row in found}
        return [name for name in names if name not in there]

    def _create_table(self, curs: Cursor[DictRow]) -> None:
        # Types and functions would be for the library's own way to insert.
        own = [each for each in self.sql_create_statements if not _makes_type_or_function(each)]
        self.sql_create_statements = [*own, *self.statements.tables]
        super()._create_table(curs)

    def insert_batch(self, stored: Sequence[StoredEvent], batch: LogBatch) -> Sequence[int]:
        """Write the whole batch or nothing.

        Raises :class:`PositionConflict`, :class:`DuplicateCommands` or :class:`VersionConflict`, in this order of
        precedence, and :class:`LogUnavailable` where the database does not answer.
        """
        try:
            return self._insert(stored, batch)
        except IntegrityError as error:
            violated = error.__cause__.diag.constraint_name if isinstance(error.__cause__, UniqueViolation) else None
            if violated == "command_outcomes_pkey" and (known := self._rows(*self._finding(batch.outcomes))):
                raise DuplicateCommands([(row["source"], row["id"]) for row in known]) from error
            if violated == f"{self.events_table_name}_pkey":
                raise VersionConflict(str(error)) from error
            raise

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:  # noqa: ANN401 - as the library has it
        return self._insert(stored_events, LogBatch(), kwargs.get("tracking"))

    def _insert(
        self, stored: Sequence[StoredEvent], batch: LogBatch, tracking: Tracking | None = None
    ) -> Sequence[int]:
        insert = BatchInsert(self.statements, self.channel_name, stored, batch)
        attempts = self.store.limits.attempts
        for attempt in range(1, attempts + 1):
            try:
                with self.store.get_connection() as connection:
                    return self._commit(connection, insert, tracking)
            except _AnswerLost:
                positions = self._find(stored, batch)
                if positions is not None:
                    return positions
            except OperationalError as error:
                # A connection that was dead already, a deadlock or a serialization failure.
                if attempt == attempts:
                    raise LogUnavailable(f"{error} (tried {attempts} times)") from error
        raise LogUnavailable(f"the answer to a commit was lost {attempts} times")

    def _commit(self, connection: Connection[DictRow], insert: BatchInsert, tracking: Tracking | None) -> Sequence[int]:
        is_committing = False
        try:
            with connection.pipeline() as pipeline:
                is_ordered = insert.is_ordered or tracking is not None
                lock, key = (_LOCK, self.lock_key) if is_ordered else (_SHARE_LOCK, self.beside_key)
                SendingCursor(connection, pipeline).execute("BEGIN")
                SendingCursor(connection, pipeline).execute(lock, [key], prepare=True)
                if tracking is not None:
                    self._insert_tracking(connection.cursor(), tracking)
                positions = insert.run(connection, pipeline)
                is_committing = True
                SendingCursor(connection, pipeline).execute("COMMIT")
        except psycopg.Error as error:
            if is_committing:
                # Even where the server says why it ends the connection, COMMIT may have taken effect before.
                connection.close()
                raise _AnswerLost from error
            raise
        return positions

    def _find(self, stored: Sequence[StoredEvent], batch: LogBatch) -> Sequence[int] | None:
        """Find out whether a batch is in the log after all; ``None`` if it is not, and never will be."""
        deadline = monotonic() + self.store.limits.answer_timeout_seconds
        while True:
            try:
                with self.store.get_connection() as connection, connection.transaction():
                    # The server may still be at it: whoever has the locks knows that it is not.
                    for key in (self.lock_key, self.beside_key):
                        connection.execute(_LOCK, [key])
                    return self._written(connection, stored, batch)
            except (LogUnavailable, OperationalError) as error:
                if monotonic() > deadline:
                    raise LogUnavailable(f"what became of a commit is not known: {error}") from error
                sleep(_ASK_AGAIN)

    def _written(
        self, connection: Connection[DictRow], stored: Sequence[StoredEvent], batch: LogBatch
    ) -> Sequence[int] | None:
        if stored:
            ids = arrays.uuids(event.originator_id for event in stored)
            versions = arrays.bigints(event.originator_version for event in stored)
            rows = connection.execute(self.statements.find_events, [ids, versions]).fetchall()
            found = {(r["originator_id"], r["originator_version"], r["topic"], bytes(r["state"])) for r in rows}
            ours = {(e.originator_id, e.originator_version, e.topic, e.state) for e in stored}
            return [row["notification_id"] for row in rows] if found == ours else None
        places = positions_in(connection.execute(self.statements.select_positions).fetchall())
        is_moved = all(
            move.origin in places and places[move.origin] == Position(next=move.next, digest=move.digest)
            for move in batch.positions
        )
        known = connection.execute(*self._finding(batch.outcomes)).rowcount
        is_written = is_moved and known == len(batch.outcomes) and self._is_kept(connection, batch)
        return () if is_written else None

    def _is_kept(self, connection: Connection[DictRow], batch: LogBatch) -> bool:
        """Whether the samples and evaluations are there."""
        ids_and_times = evaluation_columns(batch.evaluations)[:2]
        evaluations = connection.execute(self.statements.find_evaluations, ids_and_times).fetchone()
        samples = connection.execute(self.statements.find_samples, sample_columns(batch.samples)).fetchone()
        counts = [row and row["count"] for row in (evaluations, samples)]
        return counts == [len(batch.evaluations), len(batch.samples)]

    def prune(self, what: Retained, before: datetime, limit: int) -> int:
        """Delete at most ``limit`` rows that are older than ``before``, and say so, in one transaction."""
        [row] = self._rows(self.statements.prune[what], [limit, before, what, before])
        return int(row["count"])

    def _finding(self, outcomes: Sequence[CommandOutcome]) -> tuple[bytes, Sequence[object]]:
        """The statement, with its parameters, that finds out which of these outcomes are there."""
        keys = [arrays.texts(outcome.source for outcome in outcomes), arrays.texts(outcome.id for outcome in outcomes)]
        return self.statements.find_outcomes, keys


def _key(name: str) -> int:
    """The number of the advisory lock that is called so."""
    return int.from_bytes(sha256(name.encode()).digest()[:8], signed=True)


def _makes_type_or_function(statement: Composed) -> bool:
    return statement.as_string().startswith(("CREATE TYPE", "CREATE OR REPLACE FUNCTION"))
