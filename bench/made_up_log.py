"""A log of any length for measurements: lives of deployments that the domain has decided, one after the other."""

import asyncio
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from random import Random
from uuid import UUID

from adapters.event_store.event_log import open_sqlite_log
from domain.recorded import LoggedEvent, RecordedEvent
from handlers.ports import EventLog, LogBatch
from tests.histories import random_history

#: Deployments whose histories are interleaved (count), and the steps of all of them together.
_TOGETHER, _STEPS = 40, 12_000
_BATCH = 500


def write_log(file: Path, events: int) -> None:
    """Write a log of so many events into a file; in memory is one generation of deployments."""
    with closing(open_sqlite_log(file)) as log:
        asyncio.run(write_events(log, events))


async def write_events(log: EventLog, events: int) -> None:
    """Append so many events to a log."""
    made_up = _made_up(events)
    while some := list(islice(made_up, _BATCH)):
        await log.append(LogBatch(events=some))


def _made_up(events: int) -> Iterator[RecordedEvent]:
    """The same random lives again and again, each time of deployments of their own."""
    random = Random(7)
    lived = random_history(7, steps=_STEPS, deployments=_TOGETHER).log
    made = 0
    while made < events:
        salt = random.getrandbits(96) << 32
        for logged in lived[: events - made]:
            yield _again(logged, salt)
        made += len(lived)


def _again(logged: LoggedEvent, salt: int) -> RecordedEvent:
    """The same event in the life of another deployment, with routes of its own."""
    recorded = logged.recorded

    def other(each: UUID) -> UUID:
        return UUID(int=each.int ^ salt)

    event = recorded.event
    changes: dict[str, object] = {}
    if hasattr(event, "deployment_id"):
        changes["deployment_id"] = other(event.deployment_id)
    if hasattr(event, "route_ids"):
        changes["route_ids"] = tuple(map(other, event.route_ids))
    if hasattr(event, "changes"):
        changes["changes"] = tuple(each.model_copy(update={"route_id": other(each.route_id)}) for each in event.changes)
    return RecordedEvent(other(recorded.stream_id), recorded.version, recorded.cause, event.model_copy(update=changes))
