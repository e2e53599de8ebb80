"""Whether a log is one that can have come about: what is noted while its events pass, and what is wrong with them.

It is folded like a view, in a scratch database, so that it takes a fixed amount of memory and goes on where it ended.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, Final
from uuid import UUID

from sqlalchemy import BigInteger, Column, Connection, Engine, Integer, MetaData, Table, and_, or_, select

from domain.audit.commit_times import CommitTime, EventTime, errors_of
from domain.deployment import Lifecycle
from domain.events import RouteStatusReported
from domain.lifecycle import lifecycle_after, may_happen
from domain.operations import NEW_INCARNATION, Operation
from domain.recorded import LoggedEvent, OperationCause, RecordCause, SystemEvent, UnreadableEvent
from domain.registry import EVENT_TYPES
from domain.rejections import RecordsRejected
from projections.columns import WORD, flag, word
from projections.folding import ViewFold, apply_batch
from projections.placement import place
from projections.rows import Key, Row, Rows
from projections.view import View

_METADATA: Final = MetaData()
_CACHED_ROWS: Final = 50_000
_OPERATIONS: Final = frozenset({NEW_INCARNATION, *(each.value for each in Operation)})

#: How far each stream has come, and where its deployment stands.
STREAMS = Table(
    "audit_streams",
    _METADATA,
    word("stream_id", key=True),
    Column("version", BigInteger, nullable=False),
    word("lifecycle", nullable=True),
)
#: The record that each command, or each report, came to its effect by, and the last event of it.
COMMANDS = Table(
    "audit_commands",
    _METADATA,
    word("source", key=True),
    word("id", key=True),
    word("record"),
    flag("reports"),
    Column("position", BigInteger, nullable=False),
    word("event_id"),
)
#: The last record of each partition that an event names as its cause.
ORIGINS = Table(
    "audit_origins",
    _METADATA,
    word("topic", key=True),
    word("epoch", key=True),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("offset", BigInteger, nullable=False),
    Column("position", BigInteger, nullable=False),
    word("event_id"),
)
#: What is wrong, by check.
FINDINGS = Table(
    "audit_findings",
    _METADATA,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("check", WORD, primary_key=True),
    word("event_id"),
    word("message"),
)

DECODES: Final = "events-decode"
CONTIGUOUS: Final = "versions-contiguous"
CAUSES: Final = "causes-exist"
OUTCOMES: Final = "one-outcome-per-command"
LIFECYCLE: Final = "lifecycle-rules"
COMMITS: Final = "commit-times"

#: Grows with whatever is noted or looked for: what an earlier version noted is not gone on from.
VERSION: Final = 2


class LogAudit:
    """Notes what passes, batch by batch; ``engine`` is a database of its own, which is gone on with if it was begun."""

    def __init__(self, engine: Engine) -> None:
        placement = place(engine, _AUDIT)
        if placement is None:
            raise AssertionError("a scratch database holds a later version of its own tables")
        self._engine = engine
        self._fold = ViewFold(engine, placement, cached_rows=_CACHED_ROWS)

    @property
    def position(self) -> int:
        """Up to where the log was looked at."""
        return self._fold.placement.position

    def examine(self, batch: Sequence[LoggedEvent | UnreadableEvent], commits: Sequence[CommitTime]) -> None:
        """Take in what comes next in the log, with its commits and the last one before."""
        with self._engine.connect() as connection:
            for kind, some in groupby(batch, key=type):
                if kind is LoggedEvent:
                    self._fold.fold(connection, [each for each in some if isinstance(each, LoggedEvent)])
                else:
                    for each in some:
                        self._unreadable(connection, each)
        self._commits(batch, commits)
        apply_batch(self._engine, [self._fold], (), position=batch[-1].position)

    def _commits(self, batch: Sequence[LoggedEvent | UnreadableEvent], commits: Sequence[CommitTime]) -> None:
        logged = {each.position: each for each in batch if isinstance(each, LoggedEvent)}
        times = [EventTime(position, each.recorded.event.at) for position, each in logged.items()]
        # One finding for each event, the first.
        for position, message in reversed(dict(reversed([*errors_of(times, commits)])).items()):
            _find(self._fold.rows, logged[position], COMMITS, message)

    def _unreadable(self, connection: Connection, each: LoggedEvent | UnreadableEvent) -> None:
        if isinstance(each, UnreadableEvent):
            self._fold.load(connection, {STREAMS: [str(each.stream_id)]})
            rows = self._fold.rows
            _find(rows, each, DECODES, f"{each.type} cannot be read: {each.reason}")
            if each.version:
                row = _next_version(rows, each, each.stream_id, each.version)
                rows.of(STREAMS).put(row)


def findings(connection: Connection, check: str, *, limit: int) -> list[tuple[int, str, str]]:
    """The first findings of a check: position, event id, message."""
    table = FINDINGS.c
    query = select(table.position, table.event_id, table.message).where(table.check == check)
    return [tuple(row) for row in connection.execute(query.order_by(table.position).limit(limit))]


def commands(connection: Connection, *, at_a_time: int) -> Iterator[Sequence[Row]]:
    """All commands that had an effect, in pages."""
    table, last = COMMANDS.c, ("", "")
    while True:
        behind = or_(table.source > last[0], and_(table.source == last[0], table.id > last[1]))
        query = select(COMMANDS).where(behind, ~table.reports).order_by(table.source, table.id).limit(at_a_time)
        page = [dict(row) for row in connection.execute(query).mappings()]
        if not page:
            return
        yield page
        last = (page[-1]["source"], page[-1]["id"])


def origins(connection: Connection) -> list[Row]:
    """The last record of each partition that is named as a cause."""
    return [dict(row) for row in connection.execute(select(ORIGINS)).mappings()]


def _keys(logged: LoggedEvent) -> Iterator[tuple[Table, Key]]:
    yield STREAMS, str(logged.recorded.stream_id)
    cause = logged.recorded.cause
    if isinstance(cause, RecordCause):
        yield ORIGINS, (cause.topic, cause.epoch, cause.partition)
        if _has_sender(logged):
            yield COMMANDS, (cause.source, cause.id)


def _fold(rows: Rows, logged: LoggedEvent) -> None:
    recorded = logged.recorded
    row = _next_version(rows, logged, recorded.stream_id, recorded.version)
    event = recorded.event
    if not isinstance(event, SystemEvent):
        before = Lifecycle(row["lifecycle"]) if row["lifecycle"] else None
        if not may_happen(before, event):
            stands = f"a deployment that is {before.value}" if before else "a deployment that does not exist"
            _find(rows, logged, LIFECYCLE, f"{event.name} happened to {stands}")
        row["lifecycle"] = lifecycle_after(before, event)
    rows.of(STREAMS).put(row)
    match recorded.cause:
        case RecordCause():
            _record_cause(rows, logged, recorded.cause)
        case OperationCause(operation=operation) if operation not in _OPERATIONS:
            _find(rows, logged, CAUSES, f"the cause is an operation {operation!r}, and there is none of this name")
        case _:
            pass


def _record_cause(rows: Rows, logged: LoggedEvent, cause: RecordCause) -> None:
    if not cause.topic or not cause.epoch:
        _find(rows, logged, CAUSES, "the cause is a record without a topic or epoch")
    key = (cause.topic, cause.epoch, cause.partition)
    last = rows.of(ORIGINS).get(key)
    at = {"position": logged.position, "event_id": logged.recorded.event_id}
    if last is None or cause.offset > last["offset"]:
        origin = {"topic": cause.topic, "epoch": cause.epoch, "partition": cause.partition}
        rows.of(ORIGINS).put({**origin, "offset": cause.offset, **at})
    if not _has_sender(logged):
        return
    record = f"{cause.topic}/{cause.epoch}/{cause.partition}@{cause.offset}"
    before = rows.of(COMMANDS).get((cause.source, cause.id))
    is_same = before is not None and before["record"] == record
    # A report may come any number of times, and what it leads to follows the event that takes it down.
    reports = isinstance(logged.recorded.event, RouteStatusReported) or (
        before is not None and is_same and before["reports"]
    )
    if before is not None and not is_same and not reports and not before["reports"]:
        said = f"command {cause.id!r} of {cause.source!r} had an effect twice: by {before['record']} and by {record}"
        _find(rows, logged, OUTCOMES, f"{said}, before in event {before['event_id']}")
    sender = {"source": cause.source, "id": cause.id}
    rows.of(COMMANDS).put({**sender, "record": record, "reports": reports, **at})


def _has_sender(logged: LoggedEvent) -> bool:
    """Whether a record that its sender has named caused an event; what was refused had no effect."""
    cause = logged.recorded.cause
    return isinstance(cause, RecordCause) and bool(cause.id) and not isinstance(logged.recorded.event, RecordsRejected)


def _next_version(rows: Rows, each: LoggedEvent | UnreadableEvent, stream_id: UUID, version: int) -> dict[str, Any]:
    """The row of a stream after this event; also after a gap it goes on from there."""
    before = rows.of(STREAMS).get(str(stream_id))
    expected = (before["version"] if before else 0) + 1
    if version != expected:
        _find(rows, each, CONTIGUOUS, f"version {version} of stream {stream_id} where {expected} comes next")
    return {"stream_id": str(stream_id), "version": version, "lifecycle": before and before["lifecycle"]}


def _find(rows: Rows, each: LoggedEvent | UnreadableEvent, check: str, message: str) -> None:
    event_id = each.event_id if isinstance(each, UnreadableEvent) else each.recorded.event_id
    rows.of(FINDINGS).append({"position": each.position, "check": check, "event_id": event_id, "message": message})


_AUDIT: Final = View(
    name="audit",
    version=VERSION,
    tables=(STREAMS, COMMANDS, ORIGINS, FINDINGS),
    handles=frozenset(EVENT_TYPES.values()),
    fold=_fold,
    keys=_keys,
)
