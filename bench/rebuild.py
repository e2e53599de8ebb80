"""Rebuilding all views from nothing, as the projector does it, beside merely reading and decoding the log's rows."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from statistics import median

import psycopg
from sqlalchemy import Engine

from adapters.event_store.event_log import RecorderEventLog, open_sqlite_log
from bench.made_up_log import write_events
from bench.replay_bench import read_and_decode
from bench.surroundings import Surroundings, in_database
from projections.catalogue import VIEWS
from projections.database import open_database
from projections.runner import ProjectionRunner
from service.settings import ProjectionSettings
from service.stores import stores_of

_ROWS_AT_ONCE = 2_000


async def rebuild_rates(site: Surroundings, events: int, runs: int) -> dict[str, float]:
    """Events a second by store, medians of interleaved runs over a log of so many events (counts)."""
    with ExitStack() as stack:
        file, database = site.folder / "rebuilt.db", site.new_database()
        settings = in_database(site.new_group(await site.new_topics())[0], database)
        works: dict[str, Callable[[], Awaitable[object]]] = {}
        for store, log, engine, read in (
            ("SQLite", open_sqlite_log(file), open_database(f"sqlite:///{file}.views"), _reading_file(file)),
            ("PostgreSQL", stores_of(settings).open_log(), stores_of(settings).open_views(), _reading(database)),
        ):
            stack.enter_context(closing(log))
            stack.callback(engine.dispose)
            await write_events(log, events)
            works[f"read and decode, {store}"] = read
            works[f"rebuild, {store}"] = _rebuilding(engine, log, settings.projections)
        rates: Mapping[str, list[float]] = {name: [] for name in works}
        for _ in range(runs):
            for name, work in works.items():
                begun = time.perf_counter()
                await work()
                rates[name].append(events / (time.perf_counter() - begun))
    return {name: round(median(some)) for name, some in rates.items()}


def _rebuilding(engine: Engine, log: RecorderEventLog, limits: ProjectionSettings) -> Callable[[], Awaitable[None]]:
    async def rebuild() -> None:
        runner = ProjectionRunner(engine, VIEWS, log, batch_size=limits.batch_size, cached_rows=limits.cached_rows)
        await runner.rebuild()
        await runner.catch_up()

    return rebuild


def _reading_file(file: Path) -> Callable[[], Awaitable[int]]:
    return lambda: asyncio.to_thread(read_and_decode, file)


def _reading(address: str) -> Callable[[], Awaitable[int]]:
    """From one cursor of the server's, as nobody could be faster."""

    def read() -> int:
        count = 0
        with psycopg.connect(address) as connection, connection.cursor("rows", binary=True) as cursor:
            cursor.itersize = _ROWS_AT_ONCE
            query = """SELECT notification_id, originator_id, originator_version, topic, state
                       FROM routekeeper.stored_events ORDER BY notification_id"""
            for row in cursor.execute(query):
                json.loads(row[4])
                count += 1
        return count

    return lambda: asyncio.to_thread(read)
