"""One batch on its way into PostgreSQL: everything is sent at once, and judged when the answers are there."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from eventsourcing.persistence import StoredEvent
from psycopg import Connection, Pipeline
from psycopg.errors import UniqueViolation
from psycopg.generators import send as send_out
from psycopg.rows import DictRow, TupleRow

from adapters.event_store.postgres_scaling import evaluation_columns, sample_columns
from adapters.event_store.postgres_tables import LogStatements
from adapters.postgres import arrays
from adapters.postgres.sending import SendingCursor
from handlers.ports import CommandOutcome, DueWork, LogBatch, PositionConflict, PositionMove
from handlers.records import PartitionId

T = TypeVar("T")

_Parameters = Sequence[object]
_Call = tuple[bytes, _Parameters]


class BatchInsert:
    """The statements of an append, their parameters written out before anybody has to wait for the lock.

    ``is_ordered`` says whether it has to: samples, evaluations and positions have no place among the batches of others.
    """

    def __init__(self, statements: LogStatements, channel: str, stored: Sequence[StoredEvent], batch: LogBatch) -> None:
        self.is_ordered = bool(stored or batch.outcomes or batch.due)
        self._origins = [move.origin for move in batch.positions]
        moved = [move for move in batch.positions if move.expected is not None]
        placed = [move for move in batch.positions if move.expected is None]
        # A statement changes a row once: of several words about a deployment the newest counts.
        due = {work.deployment_id: work for work in sorted(batch.due, key=lambda work: work.version)}.values()
        self._on_positions = [*_call(statements.move, _moves, moved), *_call(statements.place, _places, placed)]
        self._on_outcomes = _call(statements.keep_outcomes, _outcomes, batch.outcomes)
        self._on_events = _call(statements.append, lambda some: [*_events(some), channel], stored)
        self._on_due = [
            *_call(statements.set_due, _due, [work for work in due if work.is_kept]),
            *_call(statements.not_due, _not_due, [work for work in due if not work.is_kept]),
        ]
        self._on_scaling = [
            *_call(statements.keep_samples, sample_columns, batch.samples),
            *_call(statements.keep_evaluations, evaluation_columns, batch.evaluations),
        ]

    def run(self, connection: Connection[DictRow], pipeline: Pipeline) -> Sequence[int]:
        """Send everything, wait once for all answers, and give the positions of the events.

        Raises :class:`PositionConflict`, else ``UniqueViolation``, for outcomes rather than for versions, and what the
        database raises beyond that.
        """

        def send(calls: Sequence[_Call]) -> list[SendingCursor]:
            return [SendingCursor(connection, pipeline).execute(*call, prepare=True, binary=True) for call in calls]

        positions = send(self._on_positions)
        try:
            send(self._on_outcomes)
            events = send(self._on_events)
            send(self._on_due)
            send(self._on_scaling)
            # To sync would wait for answers with a large batch half sent, whose rest the server waits for.
            connection.wait(send_out(connection.pgconn))
            pipeline.sync()
        except UniqueViolation:
            # An outcome or a version is there already, which may be known before all is sent. What was sent first has
            # its answer by then, and is judged first.
            self._judge(positions)
            raise
        self._judge(positions)
        return [position for written, _ in _rows(events) for position in written]

    def _judge(self, positions: Sequence[SendingCursor]) -> None:
        moved = {PartitionId(*row) for row in _rows(positions)}
        if missed := [origin for origin in self._origins if origin not in moved]:
            raise PositionConflict(missed)


def _rows(cursors: Sequence[SendingCursor]) -> list[TupleRow]:
    return [row for cursor in cursors for row in cursor.fetchall()]


def _call(statement: bytes, columns: Callable[[Sequence[T]], _Parameters], rows: Sequence[T]) -> list[_Call]:
    """Make a call for all rows; none for no rows."""
    return [(statement, columns(rows))] if rows else []


def _moves(moves: Sequence[PositionMove]) -> _Parameters:
    topics, epochs, partitions, following, digests = _places(moves)
    expected = arrays.bigints(move.expected or 0 for move in moves)
    return [topics, epochs, partitions, expected, following, digests]


def _places(moves: Sequence[PositionMove]) -> _Parameters:
    return [
        arrays.texts(move.origin.topic for move in moves),
        arrays.texts(move.origin.epoch for move in moves),
        arrays.bigints(move.origin.partition for move in moves),
        arrays.bigints(move.next for move in moves),
        arrays.texts(move.digest for move in moves),
    ]


def _outcomes(outcomes: Sequence[CommandOutcome]) -> _Parameters:
    return [
        arrays.texts(outcome.source for outcome in outcomes),
        arrays.texts(outcome.id for outcome in outcomes),
        arrays.texts(outcome.outcome for outcome in outcomes),
    ]


def _events(stored: Sequence[StoredEvent]) -> _Parameters:
    return [
        arrays.uuids(event.originator_id for event in stored),
        arrays.bigints(event.originator_version for event in stored),
        arrays.texts(event.topic for event in stored),
        arrays.byteas(event.state for event in stored),
    ]


def _due(due: Sequence[DueWork]) -> _Parameters:
    return [
        arrays.uuids(work.deployment_id for work in due),
        arrays.bigints(work.hash for work in due),
        arrays.instants(work.due_at for work in due),
        arrays.bigints(work.version for work in due),
        arrays.booleans(work.scales for work in due),
    ]


def _not_due(due: Sequence[DueWork]) -> _Parameters:
    return [arrays.uuids(work.deployment_id for work in due), arrays.bigints(work.version for work in due)]
