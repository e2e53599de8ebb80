"""Projectors: one in a process of its own that hears of appends, as beside a worker, and one in this process."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Protocol

from projections.catalogue import VIEWS
from projections.runner import ProjectionRunner
from service.garbage import look_for_garbage_seldom
from service.settings import Settings
from service.stores import stores_of

_spawning = get_context("spawn")


class Projector(Protocol):
    """Has folded what was in the log when it began, and goes on."""

    def heard(self) -> None:
        """Somebody in this process has appended to the log."""
        ...

    async def reach(self, position: int) -> float:
        """Return when the views are there, with the processor's time (seconds) that another process used for it.

        To be called once.
        """
        ...


@asynccontextmanager
async def projecting(settings: Settings) -> AsyncIterator[Projector]:
    """Project until the end of the block: in another process, or in this one where nobody else hears of appends."""
    if settings.database.url is not None:
        async with _distant_projector(settings) as projector:
            yield projector
        return
    with _opened(settings) as runner:
        await runner.catch_up()
        stop, wake = asyncio.Event(), asyncio.Event()
        running = asyncio.create_task(runner.run(stop, wake))
        try:
            yield _NearProjector(runner, wake)
        finally:
            stop.set()
            wake.set()
            await running


class _NearProjector:
    def __init__(self, runner: ProjectionRunner, wake: asyncio.Event) -> None:
        self._runner = runner
        self._wake = wake

    def heard(self) -> None:
        self._wake.set()

    async def reach(self, position: int) -> float:
        await _reached(self._runner, position)
        return 0.0


class _DistantProjector:
    def __init__(self, process: Connection) -> None:
        self._process = process

    def heard(self) -> None:
        """It hears of that by itself."""

    async def reach(self, position: int) -> float:
        self._process.send(position)
        return float(await asyncio.to_thread(self._process.recv))


@asynccontextmanager
async def _distant_projector(settings: Settings) -> AsyncIterator[Projector]:
    ours, theirs = _spawning.Pipe()
    process = _spawning.Process(target=_project, args=(settings, theirs), daemon=True)
    process.start()
    # So that the end of the process is the end of what it says.
    theirs.close()
    try:
        await asyncio.to_thread(ours.recv)
        yield _DistantProjector(ours)
    finally:
        process.terminate()
        await asyncio.to_thread(process.join)


def _project(settings: Settings, parent: Connection) -> None:
    look_for_garbage_seldom()
    asyncio.run(_projected(settings, parent))


async def _projected(settings: Settings, parent: Connection) -> None:
    with _opened(settings) as runner:
        await runner.catch_up()
        wake = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(runner.run(asyncio.Event(), wake))
            group.create_task(stores_of(settings).take_part(wake.set))
            busy = time.process_time()
            parent.send(None)
            await _reached(runner, await asyncio.to_thread(parent.recv))
            parent.send(time.process_time() - busy)


async def _reached(runner: ProjectionRunner, position: int) -> None:
    while min(runner.positions.values(), default=0) < position:  # noqa: ASYNC110 - a runner tells nobody
        await asyncio.sleep(0.001)


@contextmanager
def _opened(settings: Settings) -> Iterator[ProjectionRunner]:
    stores, limits = stores_of(settings), settings.projections
    engine = stores.open_views()
    try:
        with closing(stores.open_log()) as log:
            yield ProjectionRunner(engine, VIEWS, log, batch_size=limits.batch_size, cached_rows=limits.cached_rows)
    finally:
        engine.dispose()
