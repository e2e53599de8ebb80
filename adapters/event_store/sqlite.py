"""The event store on SQLite: the library's recorder, and beside its events what commits with them."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from eventsourcing.persistence import IntegrityError, Notification, StoredEvent, Tracking
from eventsourcing.sqlite import SQLiteCursor, SQLiteDatastore

from adapters.event_store.instants import microseconds_of, moment_of
from adapters.event_store.mapper import StoredRow
from adapters.event_store.sqlite_scaling import SQLiteScaling, keep_evaluations, keep_samples
from adapters.event_store.sqlite_tables import CLOCK, ROWS_PER_STATEMENT, TABLES, insert, insert_all
from domain.audit.commit_times import CommitTime
from domain.chunks import chunks
from handlers.ports import (
    CommandOutcome,
    DueWork,
    DuplicateCommands,
    LogBatch,
    Outcome,
    Position,
    PositionConflict,
    PositionMove,
    VersionConflict,
)
from handlers.records import PartitionId

_MOVE = "UPDATE positions SET next=?, digest=? WHERE topic=? AND epoch=? AND partition=? AND next=?"
_PLACE = "INSERT INTO positions (next, digest, topic, epoch, partition) VALUES (?,?,?,?,?) ON CONFLICT DO NOTHING"
_OUTCOMES = "INSERT INTO command_outcomes VALUES {rows} ON CONFLICT DO NOTHING RETURNING source, id"
_DUE = """INSERT INTO due_work VALUES {rows} ON CONFLICT (deployment_id) DO UPDATE
          SET due_at=excluded.due_at, version=excluded.version, scales=excluded.scales
          WHERE excluded.version >= due_work.version"""
_DONE = "DELETE FROM due_work WHERE deployment_id=? AND version<=?"
_COMMIT = f"""INSERT INTO commits SELECT ?, MAX({CLOCK},
              COALESCE((SELECT committed_at FROM commits ORDER BY position DESC LIMIT 1), 0))"""  # noqa: S608 - constants

_COMMITS = """SELECT position, committed_at FROM commits
              WHERE position >= COALESCE((SELECT MAX(position) FROM commits WHERE position < ?), ?)
              AND position <= COALESCE((SELECT MIN(position) FROM commits WHERE position >= ?), ?) ORDER BY position"""


def _moment(microseconds: int) -> datetime | None:
    """A moment, if it is one: SQLite keeps what is planted into a column of numbers as it is."""
    try:
        return moment_of(microseconds)
    except (OverflowError, TypeError):
        return None


def _offset(stored: object) -> int:
    if isinstance(stored, int):
        return stored
    raise ValueError(f"{stored!r:.80} is no offset")


def _hex(originator_id: UUID | str) -> str:
    return originator_id.hex if isinstance(originator_id, UUID) else originator_id


class SQLiteLogRecorder(SQLiteScaling):
    """Commits events together with positions, outcomes, due work and the time of the commit."""

    def __init__(self, datastore: SQLiteDatastore, *, events_table_name: str = "stored_events") -> None:
        super().__init__(datastore, events_table_name=events_table_name)

    def construct_create_table_statements(self) -> list[str]:
        return [*super().construct_create_table_statements(), *TABLES]

    def insert_batch(self, stored: Sequence[StoredEvent], batch: LogBatch) -> Sequence[int]:
        """Write the whole batch or nothing.

        Raises :class:`PositionConflict`, :class:`DuplicateCommands` or :class:`VersionConflict`, in this order of
        precedence.
        """
        try:
            return self.insert_events(stored, batch=batch) or ()
        except IntegrityError as error:
            raise VersionConflict(str(error)) from error

    def _insert_events(
        self, c: SQLiteCursor, stored_events: Sequence[StoredEvent], *, batch: LogBatch | None = None, **kwargs: object
    ) -> Sequence[int] | None:
        batch = batch or LogBatch()
        self._move_positions(c, batch.positions)
        self._insert_outcomes(c, batch.outcomes)
        ids = self._insert_stored(c, stored_events)
        self._set_due(c, batch.due)
        keep_samples(c, batch.samples)
        keep_evaluations(c, batch.evaluations)
        if ids:
            c.execute(_COMMIT, (ids[-1],))
        if isinstance(tracking := kwargs.get("tracking"), Tracking):
            self._insert_tracking(c, tracking)
        return ids

    def _insert_stored(self, c: SQLiteCursor, stored_events: Sequence[StoredEvent]) -> Sequence[int]:
        """What the library does event by event; one statement's rows have positions without gaps between them."""
        statement = f"INSERT INTO {self.events_table_name} VALUES {{rows}}"  # noqa: S608 - the table name is ours
        rows = [(_hex(s.originator_id), s.originator_version, s.topic, s.state) for s in stored_events]
        ids: list[int] = []
        for some in chunks(rows, ROWS_PER_STATEMENT):
            insert(c, statement, "(?,?,?,?)", some)
            ids += range(c.lastrowid - len(some) + 1, c.lastrowid + 1)
        return ids

    def _move_positions(self, c: SQLiteCursor, moves: Sequence[PositionMove]) -> None:
        missed = []
        for move in moves:
            origin = move.origin
            values = (move.next, move.digest, origin.topic, origin.epoch, origin.partition)
            c.execute(*((_PLACE, values) if move.expected is None else (_MOVE, (*values, move.expected))))
            if c.sqlite_cursor.rowcount != 1:
                missed.append(origin)
        if missed:
            raise PositionConflict(missed)

    def _insert_outcomes(self, c: SQLiteCursor, outcomes: Sequence[CommandOutcome]) -> None:
        new: set[tuple[str, str]] = set()
        for some in chunks([(o.source, o.id, o.outcome) for o in outcomes], ROWS_PER_STATEMENT):
            insert(c, _OUTCOMES, f"(?,?,?,{CLOCK})", some)
            new.update((row["source"], row["id"]) for row in c.fetchall())
        known = {(outcome.source, outcome.id) for outcome in outcomes} - new
        if known:
            raise DuplicateCommands(known)

    def _set_due(self, c: SQLiteCursor, due: Sequence[DueWork]) -> None:
        rows = [
            (d.deployment_id.hex, d.hash, d.due_at and microseconds_of(d.due_at), d.version, d.scales)
            for d in due
            if d.is_kept
        ]
        done = [(d.deployment_id.hex, d.version) for d in due if not d.is_kept]
        insert_all(c, _DUE, "(?,?,?,?,?)", rows)
        if done:
            c.executemany(_DONE, done)

    def select_many(self, originator_ids: Sequence[UUID]) -> Sequence[StoredEvent]:
        """All events of some hundreds of streams, one stream after the other, each in order."""
        places = ",".join("?" * len(originator_ids))
        statement = f"""SELECT * FROM {self.events_table_name} WHERE originator_id IN ({places})
                        ORDER BY originator_id, originator_version"""  # noqa: S608 - the table name is ours
        return [
            StoredEvent(UUID(row["originator_id"]), row["originator_version"], row["topic"], row["state"])
            for row in self._rows(statement, [each.hex for each in originator_ids])
        ]

    def select_rows(self, after: int, limit: int) -> Sequence[StoredRow]:
        """Rows behind a position, with the stream's id as it is written there, so that one row fails by itself."""
        statement = f"""SELECT rowid, originator_id, originator_version, topic, state FROM {self.events_table_name}
                        WHERE rowid>? ORDER BY rowid LIMIT ?"""  # noqa: S608 - the table name is ours
        return [StoredRow._make(row) for row in self._rows(statement, (after, limit))]

    def select_stream(self, originator_id: UUID) -> Sequence[Notification]:
        """All events of a stream with their positions, in order."""
        statement = f"SELECT rowid, * FROM {self.events_table_name} WHERE originator_id=? ORDER BY originator_version"  # noqa: S608 - the table name is ours
        return [
            Notification(
                id=row["rowid"],
                originator_id=originator_id,
                originator_version=row["originator_version"],
                topic=row["topic"],
                state=row["state"],
            )
            for row in self._rows(statement, (originator_id.hex,))
        ]

    def select_positions(self, origins: Collection[PartitionId]) -> Mapping[PartitionId, Position]:
        rows = self._rows("SELECT * FROM positions")
        found = {
            PartitionId(r["topic"], r["epoch"], r["partition"]): Position(next=_offset(r["next"]), digest=r["digest"])
            for r in rows
        }
        return {origin: found[origin] for origin in origins if origin in found}

    def select_due(self, partitions: Collection[int], of: int, until: datetime) -> Sequence[DueWork]:
        rows = self._rows("SELECT * FROM due_work WHERE due_at <= ? ORDER BY due_at", (microseconds_of(until),))
        return [
            DueWork(
                deployment_id=UUID(row["deployment_id"]),
                hash=row["hash"],
                due_at=moment_of(row["due_at"]),
                version=row["version"],
                scales=bool(row["scales"]),
            )
            for row in rows
            if row["hash"] % of in partitions
        ]

    def select_scaling(self, partitions: Collection[int], of: int) -> Sequence[UUID]:
        rows = self._rows("SELECT deployment_id, hash FROM due_work WHERE scales")
        return [UUID(row["deployment_id"]) for row in rows if row["hash"] % of in partitions]

    def select_outcomes(self, commands: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], Outcome]:
        found = {}
        for some in chunks(commands, ROWS_PER_STATEMENT):
            places = ",".join(["(?,?)"] * len(some))
            statement = f"SELECT * FROM command_outcomes WHERE (source, id) IN (VALUES {places})"  # noqa: S608 - constants
            for row in self._rows(statement, [part for command in some for part in command]):
                found[row["source"], row["id"]] = Outcome(row["outcome"])
        return found

    def select_commits(self, first: int, last: int) -> Sequence[CommitTime]:
        rows = self._rows(_COMMITS, (first, first, last, last))
        return [CommitTime(row["position"], _moment(row["committed_at"])) for row in rows]

    def select_last_commit(self) -> int:
        return self._rows("SELECT MAX(position) AS position FROM commits")[0]["position"] or 0

    def select_position_at(self, moment: datetime) -> int:
        statement = "SELECT MAX(position) AS position FROM commits WHERE committed_at <= ?"
        return self._rows(statement, (microseconds_of(moment),))[0]["position"] or 0

    def select_follower(self, name: str) -> int:
        rows = self._rows("SELECT position FROM followers WHERE name=?", (name,))
        return rows[0]["position"] if rows else 0

    def move_follower(self, name: str, expected: int, following: int) -> bool:
        """Compare-and-set; a follower that never moved stands at 0."""
        with self.datastore.transaction(commit=True) as c:
            c.execute("INSERT INTO followers VALUES (?, 0) ON CONFLICT DO NOTHING", (name,))
            c.execute("UPDATE followers SET position=? WHERE name=? AND position=?", (following, name, expected))
            return bool(c.sqlite_cursor.rowcount == 1)

    def _rows(self, statement: str, parameters: Sequence[object] = ()) -> list[Any]:
        with self.datastore.transaction(commit=False) as c:
            c.execute(statement, parameters)
            return list(c.fetchall())
