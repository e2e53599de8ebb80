"""Appends batches to an event log until it is killed, and says on standard output which ones are committed.

``python -m tests.adapters.append_until_killed sqlite PATH`` or ``… postgres 'URL SCHEMA'``
"""

import asyncio
import sys
from collections.abc import Callable, Mapping
from typing import Final
from uuid import uuid4

from adapters.event_store.event_log import RecorderEventLog, open_sqlite_log
from adapters.event_store.postgres_log import open_postgres_log
from adapters.postgres.address import PostgresAddress
from handlers.ports import LogBatch
from tests.adapters.event_log_support import P0, due, events, move, outcome

EVENTS_PER_BATCH: Final = 20

_OPEN: Final[Mapping[str, Callable[[str], RecorderEventLog]]] = {
    "sqlite": open_sqlite_log,
    "postgres": lambda place: open_postgres_log(PostgresAddress(place.split()[0]), schema=place.split()[1]),
}


async def append(log: RecorderEventLog) -> None:
    """Append without end: batch by batch one position, one outcome and some events further."""
    place = (await log.positions([P0])).get(P0)
    expected = place.next if place else None
    while True:
        following = (expected or 0) + 1
        deployment = uuid4()
        batch = LogBatch(
            events=events(EVENTS_PER_BATCH, deployment),
            positions=[move(P0, expected, following)],
            outcomes=[outcome(str(following))],
            due=[due(deployment, EVENTS_PER_BATCH)],
        )
        await log.append(batch)
        expected = following
        print(following, flush=True)  # noqa: T201 - whoever kills this process wants to know how far it came


if __name__ == "__main__":
    store, address = sys.argv[1:]
    asyncio.run(append(_OPEN[store](address)))
