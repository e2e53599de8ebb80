"""Replay of the whole log into scratch views, against merely reading its rows and decoding their JSON.

``python -m bench.replay_bench [--events COUNT …]``: prints events a second, the ratio, and the most memory that a
process of its own came to, for a log of each of these lengths.
"""

import argparse
import asyncio
import json
import multiprocessing
import resource
import sqlite3
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from adapters.event_store.event_log import open_sqlite_log
from bench.made_up_log import write_log
from projections.catalogue import VIEWS
from projections.database import open_database
from projections.replay import replay


def read_and_decode(log_file: Path) -> int:
    """Stream all rows from one cursor, as nobody could be faster, and decode their JSON."""
    count = 0
    with closing(sqlite3.connect(log_file)) as connection:
        query = "SELECT rowid, originator_id, originator_version, topic, state FROM stored_events ORDER BY rowid"
        for row in connection.execute(query):
            json.loads(row[4])
            count += 1
    return count


def replay_all(log_file: Path) -> int:
    """Fold all views into a scratch database."""

    async def go() -> int:
        log = open_sqlite_log(log_file)
        with tempfile.TemporaryDirectory() as folder:
            engine = open_database(f"sqlite:///{folder}/views.db")
            head = await log.head()
            await replay(log, VIEWS, until=head, engine=engine)
            engine.dispose()
        log.close()
        return head

    return asyncio.run(go())


def in_a_process(work: Callable[[Path], int], log_file: Path) -> tuple[float, float]:
    """Events a second, and the process's largest memory (MB)."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_measured, (work, log_file))


def _measured(work: Callable[[Path], int], log_file: Path) -> tuple[float, float]:
    begun = time.perf_counter()
    count = work(log_file)
    return count / (time.perf_counter() - begun), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Print the numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=[100_000], nargs="+", metavar="COUNT")
    for count in parser.parse_args().events:
        with tempfile.TemporaryDirectory() as folder:
            log_file = Path(folder) / "events.db"
            write_log(log_file, count)
            read, _ = in_a_process(read_and_decode, log_file)
            folded, memory = in_a_process(replay_all, log_file)
        print(f"{count:,} events")
        print(f"read and decode  {read:10,.0f} events/s")
        print(f"full replay      {folded:10,.0f} events/s, ratio {folded / read:.3f}, at most {memory:.0f} MB")


if __name__ == "__main__":
    main()
