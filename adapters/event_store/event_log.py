"""The event log over a recorder: asynchronous outside, one writer thread inside."""

import asyncio
import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import datetime
from itertools import groupby, islice
from pathlib import Path
from typing import ParamSpec, TypeVar
from uuid import UUID, uuid4

from eventsourcing.persistence import (
    DataError,
    InterfaceError,
    InternalError,
    Notification,
    OperationalError,
    ProgrammingError,
)
from eventsourcing.sqlite import SQLiteDatastore
from pydantic import ValidationError

from adapters.event_store.mapper import MAX_EVENT_BYTES, EventMapper, StoredRow, place_of
from adapters.event_store.recorder import LogRecorder
from adapters.event_store.sqlite import SQLiteLogRecorder
from domain.audit.commit_times import CommitTime
from domain.autoscaling.record import EvaluationRecord
from domain.chunks import chunks
from domain.deployment import Deployment
from domain.evolve import replay
from domain.recorded import LoggedEvent, SystemEvent, UnreadableEvent
from handlers.ports import (
    REPORTS_PER_DEPLOYMENT,
    DueWork,
    LogBatch,
    LogDamaged,
    LogUnavailable,
    Outcome,
    Position,
    Retained,
    SampleReport,
    UnknownEventType,
)
from handlers.records import PartitionId

P = ParamSpec("P")
R = TypeVar("R")

#: How many calls read beside each other (count).
_READERS = 4

#: How many streams are loaded by one statement (count).
_STREAMS_AT_ONCE = 500

#: Most streams with events that are not known that a message tells of (count).
_MOST_NAMED = 3

#: What a store raises that does not answer; the driver's own where the library leaves it as it is.
_NO_ANSWER = (OperationalError, InterfaceError, InternalError, sqlite3.OperationalError)


class RecorderEventLog:
    """Implements :class:`handlers.ports.EventLog` and the followers' positions on any :class:`LogRecorder`.

    Writes go through one thread, since appends to one log are serial anyway; reads run beside them, and those of views
    in a thread of their own.
    """

    def __init__(self, recorder: LogRecorder, mapper: EventMapper, *, close: Callable[[], None]) -> None:
        self._recorder = recorder
        self._mapper = mapper
        self._close = close
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="event-log-writer")
        self._readers = ThreadPoolExecutor(max_workers=_READERS, thread_name_prefix="event-log-reader")

    async def append(self, batch: LogBatch) -> Sequence[int]:
        return await self._run(self._writer, self._append, batch)

    def _append(self, batch: LogBatch) -> Sequence[int]:
        stored = [self._mapper.to_stored(recorded) for recorded in batch.events]
        return self._recorder.insert_batch(stored, batch)

    async def deployments(self, ids: Collection[UUID]) -> Mapping[UUID, Deployment]:
        return await self._run(self._readers, self._load, tuple(ids))

    def _load(self, ids: Sequence[UUID]) -> Mapping[UUID, Deployment]:
        found: dict[UUID, Deployment] = {}
        unknown: dict[UUID, str] = {}
        for some in chunks(ids, _STREAMS_AT_ONCE):
            for stream_id, stored in groupby(self._recorder.select_many(some), lambda event: event.originator_id):
                recorded = map(self._mapper.to_recorded, stored)
                try:
                    state = replay(r.event for r in recorded if not isinstance(r.event, SystemEvent))
                except UnknownEventType as error:
                    unknown[UUID(str(stream_id))] = str(error)
                    continue
                if state is not None:
                    found[UUID(str(stream_id))] = state
        if unknown:
            raise UnknownEventType("; ".join(islice(unknown.values(), _MOST_NAMED)), unknown)
        return found

    async def stream_version(self, stream_id: UUID) -> int:
        return await self._run(self._readers, self._last_of, stream_id)

    def _last_of(self, stream_id: UUID) -> int:
        events = self._recorder.select_events(stream_id, desc=True, limit=1)
        return events[0].originator_version if events else 0

    async def positions(self, origins: Collection[PartitionId]) -> Mapping[PartitionId, Position]:
        with _rows_of("positions"):
            return await self._run(self._readers, self._recorder.select_positions, origins)

    async def due_work(self, *, partitions: Collection[int], of: int, until: datetime) -> Sequence[DueWork]:
        return await self._run(self._readers, self._recorder.select_due, partitions, of, until)

    async def scaling_deployments(self, *, partitions: Collection[int], of: int) -> Sequence[UUID]:
        return await self._run(self._readers, self._recorder.select_scaling, partitions, of)

    async def sample_reports(
        self, ids: Collection[UUID], *, since: datetime, limit: int = REPORTS_PER_DEPLOYMENT
    ) -> Mapping[UUID, Sequence[SampleReport]]:
        found: dict[UUID, Sequence[SampleReport]] = {}
        for some in chunks(tuple(ids), _STREAMS_AT_ONCE):
            found |= await self._run(self._readers, self._recorder.select_samples, some, since, limit)
        return found

    async def evaluations(self, ids: Collection[UUID], *, since: datetime) -> Mapping[UUID, Sequence[EvaluationRecord]]:
        found: dict[UUID, Sequence[EvaluationRecord]] = {}
        for some in chunks(tuple(ids), _STREAMS_AT_ONCE):
            found |= await self._run(self._readers, self._recorder.select_evaluations, some, since)
        return found

    async def sample_reports_between(
        self, deployment_id: UUID, *, since: datetime, until: datetime, limit: int
    ) -> Sequence[SampleReport]:
        """The first reports, at most ``limit``, that end at or after ``since`` and were received before ``until``."""
        return await self._run(self._readers, self._recorder.select_samples_between, deployment_id, since, until, limit)

    async def evaluations_between(
        self, deployment_id: UUID, *, since: datetime, until: datetime, limit: int
    ) -> Sequence[EvaluationRecord]:
        """The first evaluations, at most ``limit``, of that time, and the last before it that holds memories."""
        return await self._run(
            self._readers, self._recorder.select_evaluations_between, deployment_id, since, until, limit
        )

    async def prune(self, what: Retained, *, before: datetime, limit: int) -> int:
        return await self._run(self._writer, self._recorder.prune, what, before, limit)

    async def horizons(self) -> Mapping[Retained, datetime]:
        with _rows_of("retention_horizons"):
            return await self._run(self._readers, self._recorder.select_horizons)

    async def read(self, *, after: int, limit: int) -> Sequence[LoggedEvent]:
        return await self._run(self._readers, self._read, after, limit)

    def read_blocking(self, *, after: int, limit: int) -> Sequence[LoggedEvent]:
        """The same, for those who are in a thread of their own already."""
        with _answering():
            return self._read(after, limit)

    def _read(self, after: int, limit: int) -> Sequence[LoggedEvent]:
        notifications = self._recorder.select_rows(after, limit)
        understood: list[LoggedEvent] = []
        for notification in notifications:
            try:
                understood.append(self._logged(notification))
            except UnknownEventType:
                if understood:
                    break
                raise
        return understood

    async def read_all(self, *, after: int, limit: int) -> Sequence[LoggedEvent | UnreadableEvent]:
        """The same, but what is not understood is told instead of raised."""
        return await self._run(self._readers, self._read_all, after, limit)

    def _read_all(self, after: int, limit: int) -> Sequence[LoggedEvent | UnreadableEvent]:
        found: list[LoggedEvent | UnreadableEvent] = []
        for each in self._recorder.select_rows(after, limit):
            try:
                found.append(self._logged(each))
            except (UnknownEventType, ValidationError) as error:
                found.append(UnreadableEvent(each.id, *place_of(each), str(each.topic), _in_short(error)))
        return found

    async def outcomes(self, commands: Collection[tuple[str, str]]) -> Mapping[tuple[str, str], Outcome]:
        """What became of commands by (source, id), as far as it is known."""
        with _rows_of("command_outcomes"):
            return await self._run(self._readers, self._recorder.select_outcomes, tuple(commands))

    async def stream(self, stream_id: UUID) -> Sequence[LoggedEvent]:
        notifications = await self._run(self._readers, self._recorder.select_stream, stream_id)
        return [self._logged(n) for n in notifications]

    def _logged(self, notification: Notification | StoredRow) -> LoggedEvent:
        try:
            return LoggedEvent(notification.id, self._mapper.to_recorded(notification))
        except UnknownEventType as error:
            raise UnknownEventType(f"{error}, at position {notification.id}") from None

    async def position_at(self, moment: datetime) -> int:
        return await self._run(self._readers, self._recorder.select_position_at, moment)

    async def commits(self, *, first: int, last: int) -> Sequence[CommitTime]:
        """Commits in order, from the last one before position ``first`` to the first one that reaches ``last``."""
        with _rows_of("commits"):
            return await self._run(self._readers, self._recorder.select_commits, first, last)

    async def last_commit(self) -> int:
        """The position up to which the last commit reaches (0: there is none)."""
        return await self._run(self._readers, self._recorder.select_last_commit)

    async def head(self) -> int:
        return await self._run(self._readers, self._recorder.max_notification_id) or 0

    async def follower(self, name: str) -> int:
        """The position that the follower called ``name`` has come to (0: it has not begun)."""
        return await self._run(self._readers, self._recorder.select_follower, name)

    async def move_follower(self, name: str, *, expected: int, following: int) -> bool:
        """Compare-and-set of a follower's position; ``False`` if somebody else has moved it."""
        return await self._run(self._writer, self._recorder.move_follower, name, expected, following)

    def close(self) -> None:
        """Wait for what is under way, then let go of threads and connections."""
        self._writer.shutdown()
        self._readers.shutdown()
        self._close()

    async def _run(self, pool: ThreadPoolExecutor, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        def guarded() -> R:
            with _answering():
                return call(*args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(pool, guarded)


def _in_short(error: UnknownEventType | ValidationError) -> str:
    """What is wrong with a row, without what it holds."""
    if isinstance(error, UnknownEventType):
        return str(error)
    said = [": ".join(filter(None, (".".join(map(str, each["loc"])), each["type"]))) for each in error.errors()]
    return "; ".join(said[:3])


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except _NO_ANSWER as error:
        raise LogUnavailable(f"the event store does not answer: {error}") from error


@contextmanager
def _rows_of(table: str) -> Iterator[None]:
    """Say which table it is that holds what nobody writes there."""
    try:
        yield
    except (ValueError, ProgrammingError, DataError) as error:
        raise LogDamaged(f"{table}: {error}") from error


def open_sqlite_log(
    path: Path | str, *, lock_timeout_seconds: int = 5, max_event_bytes: int = MAX_EVENT_BYTES
) -> RecorderEventLog:
    """Open the log in the SQLite file ``path`` (``":memory:"`` for a passing one), creating what is missing.

    Raises :class:`LogUnavailable` if the file cannot be used.
    """
    if path == ":memory:":
        # By itself every connection would have a memory of its own; the name keeps other logs out of this one.
        path = f"file:{uuid4()}?mode=memory&cache=shared"
    else:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    datastore = SQLiteDatastore(str(path), lock_timeout=lock_timeout_seconds, pool_size=_READERS + 2)
    recorder = SQLiteLogRecorder(datastore)
    with _answering():
        _connect(datastore)
        recorder.create_table()
    return RecorderEventLog(recorder, EventMapper(max_event_bytes), close=datastore.close)


def _connect(datastore: SQLiteDatastore) -> None:
    """Make all connections now: once the library's pool fails to make one for a writer, no writer gets any more."""
    with ExitStack() as connections:
        for _ in range(datastore.pool.pool_size):
            connections.enter_context(datastore.get_connection(commit=False))
