"""Replay of the whole log into scratch views, against merely reading its rows and decoding their JSON.

``python -m bench.replay_bench [--events COUNT] [--past]``: prints events a second, the ratio, and the most memory that
a process of its own came to; with ``--past`` also how long questions about past moments take.
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
from random import Random

from adapters.event_store.event_log import open_sqlite_log
from bench.made_up_log import write_log
from projections.catalogue import VIEWS
from projections.checkpoints import CheckpointLimits
from projections.database import open_database
from projections.deployment_fold import DEPLOYMENTS_VIEW
from projections.past import fold_past
from projections.replay import replay

_ASKED = 10


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


def ask_about_the_past(log_file: Path) -> None:
    """How long it takes to have the deployments of random moments, after one question about the end."""

    async def go(until: int, folder: Path, name: str) -> float:
        log = open_sqlite_log(log_file)
        begun = time.perf_counter()
        engine = await fold_past(
            log,
            (DEPLOYMENTS_VIEW,),
            until=until,
            scratch=folder / f"{name}.db",
            cache=folder / "cache",
            limits=CheckpointLimits(),
        )
        taken = time.perf_counter() - begun
        engine.dispose()
        (folder / f"{name}.db").unlink()
        log.close()
        return taken

    with closing(open_sqlite_log(log_file)) as log:
        head = asyncio.run(log.head())
    random = Random(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        first = asyncio.run(go(head, folder, "first"))
        later = sorted(asyncio.run(go(random.randint(1, head), folder, str(n))) for n in range(_ASKED))
        files = list(folder.glob("cache/*/*/*.db"))
        size = sum(file.stat().st_size for file in files)
    print(f"first question   {first:8.2f} s, leaving {len(files)} checkpoints of {size / 1e6:,.0f} MB")
    print(f"later questions  {later[_ASKED // 2]:8.2f} s (median), {later[-1]:.2f} s (longest) of {_ASKED}")


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
    parser.add_argument("--events", type=int, default=100_000, metavar="COUNT")
    parser.add_argument("--past", action="store_true", help="also questions about past moments")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        log_file = Path(folder) / "events.db"
        write_log(log_file, arguments.events)
        read, _ = in_a_process(read_and_decode, log_file)
        folded, memory = in_a_process(replay_all, log_file)
        print(f"{arguments.events:,} events")
        print(f"read and decode  {read:10,.0f} events/s")
        print(f"full replay      {folded:10,.0f} events/s, ratio {folded / read:.3f}, at most {memory:.0f} MB")
        if arguments.past:
            ask_about_the_past(log_file)


if __name__ == "__main__":
    main()
