"""How fast the log is held against tree heads, beside merely reading and JSON-decoding the same rows.

SQLite in a new file, and PostgreSQL where its address is given; there the rows are merely read by a cursor of the
server's. Both take turns, and the best of five counts: by the clock, and by the processor's time of this process, which
does not hang on what else the machine does (what a server does for it is not in there). Memory is what Python objects
take at most during a verification. Run it from the repository::

    python -m bench.tree_bench [--postgres postgresql://…] [--events 100000]
"""

import argparse
import asyncio
import sqlite3
import tempfile
import tracemalloc
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from time import perf_counter, process_time
from typing import NamedTuple
from uuid import UUID, uuid4

import orjson
import psycopg

from adapters.event_store.event_log import RecorderEventLog, open_sqlite_log
from adapters.event_store.postgres_datastore import LogDatastore, PostgresLimits
from adapters.event_store.postgres_log import open_postgres_log
from adapters.event_store.tree_keeper import TreeKeeper
from adapters.event_store.tree_postgres import PostgresTreeStore
from adapters.event_store.tree_reading import log_leaves, tree_leaves
from adapters.event_store.tree_sqlite import SQLiteTreeStore
from adapters.event_store.tree_store import TreeStore
from adapters.postgres.address import PostgresAddress
from domain.audit.proof import prove
from domain.audit.tree_head import TreeHead
from domain.events import ScaledOut
from domain.recorded import OperationCause, RecordedEvent
from handlers.ports import LogBatch

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
CAUSE = OperationCause(operation="scale-deployment")
STREAMS = 1000
BATCH = 500


async def filled(log: RecorderEventLog, events: int) -> None:
    """Append so many events of one new route each."""
    streams = [uuid4() for _ in range(STREAMS)]
    numbers = count()
    for _ in range(events // BATCH):
        some = [next(numbers) for _ in range(BATCH)]
        await log.append(LogBatch(events=[_event(streams[n % STREAMS], n // STREAMS + 1) for n in some]))


def _event(stream: UUID, version: int) -> RecordedEvent:
    return RecordedEvent(
        stream, version, CAUSE, ScaledOut(at=AT, route_ids=(uuid4(),), revision_id=stream, traffic_ratio=1.0)
    )


class Taken(NamedTuple):
    """How long something takes (seconds): by the clock, and of the processor."""

    clock: float
    cpu: float


def taken(*works: Callable[[], object]) -> list[Taken]:
    """The best of five of each, in turns."""
    rounds = [[_once(work) for work in works] for _ in range(5)]
    return [Taken(*map(min, zip(*each, strict=True))) for each in zip(*rounds, strict=True)]


def _once(work: Callable[[], object]) -> Taken:
    clock, cpu = perf_counter(), process_time()
    work()
    return Taken(perf_counter() - clock, process_time() - cpu)


def peak_megabytes(work: Callable[[], object]) -> float:
    """The most memory that Python objects take meanwhile."""
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 2**20


def measure(name: str, events: int, tree: TreeStore, read: Callable[[], object]) -> None:
    """Print a row of the table."""
    keeper = TreeKeeper(tree)
    begun = perf_counter()
    while keeper.step():
        pass
    building = perf_counter() - begun
    keeper.write_head(AT)
    heads = list(keeper.heads())

    def verify() -> None:
        _verify(tree, heads, events)

    reading, verifying = taken(read, verify)
    rates = [f"{events / each:>14,.0f}" for each in (reading.clock, verifying.clock, building)]
    ratios = f"{reading.clock / verifying.clock:>9.2f}{reading.cpu / verifying.cpu:>11.2f}"
    print(f"{name:12}{events:>10,}" + "".join(rates) + ratios + f"{peak_megabytes(verify):>10.1f}")


def _verify(tree: TreeStore, heads: list[TreeHead], events: int) -> None:
    proof = prove(heads, log_leaves(tree), tree_leaves(tree))
    if proof.log.proven_size != events or proof.gaps:
        raise AssertionError(f"proven are {proof.log.proven_size} of {events} events")


def read_sqlite(file: Path) -> None:
    """Read and decode all rows."""
    with closing(sqlite3.connect(file)) as connection:
        rows = connection.execute(
            "SELECT rowid, originator_id, originator_version, topic, state FROM stored_events ORDER BY rowid"
        )
        for row in rows:
            orjson.loads(row[4])


def read_postgres(url: str, schema: str) -> None:
    """The same by a cursor of the server's."""
    with psycopg.connect(url) as connection, connection.cursor("reading", binary=True) as cursor:
        cursor.itersize = 2048
        cursor.execute(
            f"""SELECT notification_id, originator_id, originator_version, topic, state FROM {schema}.stored_events
                ORDER BY notification_id""".encode()  # noqa: S608 - a name of ours
        )
        for row in cursor:
            orjson.loads(row[4])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--postgres", help="the address of a database; a schema is made in it and stays")
    parser.add_argument("--events", type=int, default=100_000, help="a multiple of 5,000")
    given = parser.parse_args()
    names = ("read+decode/s", "verify/s", "build/s")
    print(
        f"{'':12}{'events':>10}"
        + "".join(f"{name:>14}" for name in names)
        + f"{'ratio':>9}{'CPU ratio':>11}{'peak MiB':>10}"
    )
    for events in (given.events // 10, given.events):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "log.db"
            with closing(open_sqlite_log(file)) as log, closing(SQLiteTreeStore(file)) as tree:
                asyncio.run(filled(log, events))
                measure("SQLite", events, tree, lambda file=file: read_sqlite(file))  # type: ignore[misc] # bound now
        if given.postgres:
            schema = f"bench_{uuid4().hex}"
            address = PostgresAddress(given.postgres)
            with closing(open_postgres_log(address, schema=schema)) as log:
                asyncio.run(filled(log, events))
            store = PostgresTreeStore(LogDatastore(address, schema=schema, limits=PostgresLimits()))
            with closing(store) as tree:
                measure("PostgreSQL", events, tree, lambda s=schema: read_postgres(given.postgres, s))  # type: ignore[misc] # the same


if __name__ == "__main__":
    main()
