"""Verifies the log by itself: from the first event to the last, in bounded batches that hold nobody up."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import Connection, Engine

from adapters.event_store.event_log import RecorderEventLog
from domain.recorded import LoggedEvent, UnreadableEvent
from handlers.ports import LogDamaged, LogUnavailable, Outcome, Position, Retained
from handlers.records import PartitionId
from projections import log_audit as audit
from projections.database import snapshot
from projections.rows import Row
from projections.threads import in_thread
from service.checks import Check, Finding
from service.retention import nearest_horizon_of_outcomes

#: Events and commands that are looked at together (count).
_BATCH: Final = 2_000
_COMMANDS: Final = 500

#: Less than any position that a database can hold.
_LOWEST: Final = -(2**63)

#: What is recorded with an event has a time a little before the event's (seconds): so much is left out at the horizon.
_MARGIN: Final = timedelta(minutes=1)

#: What a table raises that is gone, or that holds what nobody writes there.
_UNREADABLE: Final = (LogDamaged, LogUnavailable)

_HOLDS: Final = {
    audit.DECODES: "every event can be read",
    audit.CONTIGUOUS: "the versions of every stream are 1, 2, 3, …",
    audit.LIFECYCLE: "every event happened where in a deployment's life it may",
    audit.CAUSES: "every event names the record or the operation that caused it, and each is one there can be",
    audit.OUTCOMES: "every command came to an effect once, and has the outcome that goes with it",
    audit.COMMITS: "times of commits do not fall, reach to the log's end, and are those at which its events happened",
}


async def examine_log(
    log: RecorderEventLog, scratch: Engine, *, until: int, progress: Callable[[int], None]
) -> audit.LogAudit:
    """Look at all events up to ``until`` inclusive, from where ``scratch`` is on; ``progress`` hears of positions."""
    examined = await in_thread(audit.LogAudit, scratch)
    progress(examined.position)
    while examined.position < until:
        batch = await log.read_all(after=examined.position, limit=_BATCH)
        batch = [each for each in batch if each.position <= until]
        if not batch:
            break
        try:
            commits = await log.commits(first=batch[0].position, last=batch[-1].position)
        except _UNREADABLE:
            # The times of these events are not known then, and that is found of them.
            commits = ()
        await in_thread(examined.examine, batch, commits)
        progress(examined.position)
    return examined


async def log_checks(log: RecorderEventLog, scratch: Engine, *, limit: int) -> Sequence[Check]:
    """What was found by :func:`examine_log`, held against what is stored beside the events."""
    with snapshot(scratch) as connection:
        found = {name: _noted(connection, name, limit) for name in _HOLDS}
        found[audit.CAUSES] += await _looked_at(_unread_records(log, connection))
        found[audit.OUTCOMES] += await _looked_at(_outcomes(log, connection, limit))
        found[audit.COMMITS] += await _looked_at(_first_and_last_commit(log))
        found[audit.CONTIGUOUS] += await _before_the_beginning(log, limit)
        unreadable, remark = await _horizon_of_outcomes(log)
        found[audit.OUTCOMES] = [*unreadable, *found[audit.OUTCOMES]]
    return [
        Check(
            name=name,
            holds=holds,
            findings=tuple(found[name][:limit]),
            remark=remark if name == audit.OUTCOMES else "",
        )
        for name, holds in _HOLDS.items()
    ]


def _noted(connection: Connection, name: str, limit: int) -> list[Finding]:
    return [
        Finding(where=f"position {position}", message=f"event {event_id}: {message}")
        for position, event_id, message in audit.findings(connection, name, limit=limit)
    ]


async def _before_the_beginning(log: RecorderEventLog, limit: int) -> list[Finding]:
    """Events that nobody who reads the log from its beginning sees, but who reads their stream does."""
    return [
        Finding(
            where=f"position {each.position}",
            message=f"event {_id_of(each)}: it stands before the beginning of the log, where no event can be",
        )
        for each in await log.read_all(after=_LOWEST, limit=limit)
        if each.position < 1
    ]


def _id_of(each: LoggedEvent | UnreadableEvent) -> str:
    return each.recorded.event_id if isinstance(each, LoggedEvent) else each.event_id


async def _first_and_last_commit(log: RecorderEventLog) -> list[Finding]:
    """Commits begin where the log begins, and the last one ends where it ends."""
    lowest = await log.commits(first=_LOWEST, last=_LOWEST)
    findings = [
        Finding(where=f"position {each.position}", message="a commit ends here, before the beginning of the log")
        for each in lowest
        if each.position < 1
    ]
    # Between two looks at the log, which others append to meanwhile.
    before, last, after = await log.head(), await log.last_commit(), await log.head()
    if not before <= last <= after:
        message = f"the last commit ends here, and the log at position {after}"
        findings.append(Finding(where=f"position {last}", message=message))
    return findings


async def _looked_at(look: Awaitable[list[Finding]]) -> list[Finding]:
    """What is found; that a table cannot be read is a finding too, which keeps nothing else from being looked at."""
    try:
        return await look
    except _UNREADABLE as error:
        return [_unreadable(error)]


def _unreadable(error: LogDamaged | LogUnavailable) -> Finding:
    return Finding(where="log", message=f"this cannot be looked at: {error}", kind="unreadable")


async def _unread_records(log: RecorderEventLog, connection: Connection) -> list[Finding]:
    """Causes that lie behind what was ever read of their partition."""
    rows = audit.origins(connection)
    named = {PartitionId(row["topic"], row["epoch"], row["partition"]): row for row in rows}
    read = await log.positions(named)
    return [
        _unread(origin, row, read.get(origin))
        for origin, row in named.items()
        if origin not in read or row["offset"] >= read[origin].next
    ]


def _unread(origin: PartitionId, row: Row, read: Position | None) -> Finding:
    record = f"{origin.topic}/{origin.partition}@{row['offset']} of epoch {origin.epoch}"
    ever = f"only those before {read.next} were" if read else "none was"
    message = f"event {row['event_id']}: the cause is record {record}; of these {ever} ever read"
    return Finding(where=f"position {row['position']}", message=message)


async def _horizon_of_outcomes(log: RecorderEventLog) -> tuple[list[Finding], str]:
    """What is wrong with the moment before which outcomes may be missing, and the remark that they are."""
    try:
        horizon = (await log.horizons()).get(Retained.OUTCOMES)
    except _UNREADABLE as error:
        return [_unreadable(error)], ""
    if horizon is None:
        return [], ""
    before = f"from before {horizon:%Y-%m-%d %H:%M:%S} UTC"
    findings = []
    # Whoever deletes outcomes may move the horizon too, but not to where retention would never have it.
    if horizon > nearest_horizon_of_outcomes(datetime.now(UTC)):
        said = f"outcomes {before} may be missing, by their horizon; retention keeps an hour at least"
        findings.append(Finding(where="retention_horizons", message=said))
    return findings, f"outcomes {before} were deleted as retention has it"


async def _outcomes(log: RecorderEventLog, connection: Connection, limit: int) -> list[Finding]:
    """Commands with an effect whose outcome is missing, though none was deleted from that time, or another one."""
    amiss: list[tuple[Row, Outcome | None]] = []
    for page in audit.commands(connection, at_a_time=_COMMANDS):
        known = await log.outcomes([(row["source"], row["id"]) for row in page])
        wrong = [(row, known.get((row["source"], row["id"]))) for row in page]
        wrong = [(row, outcome) for row, outcome in wrong if outcome is not Outcome.ACCEPTED]
        if not wrong:
            continue
        # Read after the outcomes: what was deleted meanwhile lies before it.
        kept_behind = await _kept_behind(log)
        amiss += [(row, outcome) for row, outcome in wrong if outcome or row["position"] > kept_behind]
        if len(amiss) >= limit:
            break
    return list(_told(amiss))


async def _kept_behind(log: RecorderEventLog) -> int:
    """The position behind which every command has its outcome."""
    # The last moments that there are have none behind them.
    with suppress(*_UNREADABLE, OverflowError):
        horizon = (await log.horizons()).get(Retained.OUTCOMES)
        return await log.position_at(horizon + _MARGIN) if horizon else 0
    return 0


def _told(amiss: Sequence[tuple[Row, Outcome | None]]) -> Iterator[Finding]:
    for row, outcome in amiss:
        said = f"its outcome is {outcome.value}" if outcome else "it has no outcome"
        yield Finding(
            where=f"position {row['position']}",
            message=f"event {row['event_id']}: command {row['id']!r} of {row['source']!r} had an effect, but {said}",
        )
