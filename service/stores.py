"""Where the event log and the views are kept: in SQLite files, or in PostgreSQL. The one place that asks which."""

import asyncio
import fcntl
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import IO, Protocol

from eventsourcing.sqlite import SQLiteDatastore
from sqlalchemy import URL, Engine

from adapters.event_store.event_log import RecorderEventLog, open_sqlite_log
from adapters.event_store.mapper import EventMapper
from adapters.event_store.sqlite import SQLiteLogRecorder
from adapters.event_store.tree_sqlite import SQLiteTreeStore
from adapters.event_store.tree_store import TreeStore
from adapters.kafka.stoppable import wait_for_event
from domain.errors import RoutekeeperError
from projections.database import open_database
from service.log_sharing import LOG_LOCK, LogTaken
from service.postgres_stores import PostgresStores
from service.settings import Settings

#: How often a process asks whether work that another one does has become free (seconds).
_LOOK_AGAIN_SECONDS = 0.5


class StoreMissing(RoutekeeperError):
    """There is nothing to read yet."""


class Stores(Protocol):
    """The event log and the views; ``log_place`` and ``views_place`` name them for people, without passwords."""

    @property
    def log_place(self) -> str: ...

    @property
    def views_place(self) -> str: ...

    def create(self) -> Iterator[str]:
        """Create what is missing, and say what was done. Raises what a store raises that cannot be used."""
        ...

    def open_log(self) -> RecorderEventLog:
        """Open the log, creating what is missing. Raises what a store raises that cannot be used."""
        ...

    def read_log(self) -> RecorderEventLog:
        """Open the log so that nothing can be written. Raises :class:`StoreMissing`, and as :meth:`open_log` does."""
        ...

    def open_tree(self) -> TreeStore:
        """Open the log's tree; the log must have been opened before."""
        ...

    def read_tree(self) -> TreeStore:
        """Open the log's tree so that nothing can be written. Raises :class:`StoreMissing`."""
        ...

    def open_views(self) -> Engine:
        """Open the database of the views, creating what is missing."""
        ...

    def read_views(self) -> Engine:
        """Open the database of the views so that nothing can be written. Raises :class:`StoreMissing`."""
        ...

    async def take_part(self, heard: Callable[[], None], joined: Callable[[], Awaitable[None]] | None = None) -> None:
        """Be noticed as somebody who works on the log, until cancelled; whoever does calls this all the time.

        Awaits ``joined`` whenever that begins, also after a connection was lost, and calls ``heard`` when some process
        has appended, where the store tells of it. Raises :class:`~service.log_sharing.LogTaken` where somebody is alone
        with the log, and what ``joined`` raises.
        """
        ...

    async def run_alone(self, name: str, work: Callable[[], Awaitable[None]], stop: asyncio.Event) -> None:
        """Await ``work()`` while no other process does the work called ``name``; return at once on ``stop`` before."""
        ...


def stores_of(settings: Settings) -> Stores:
    """The stores that the settings name."""
    return SQLiteStores(settings) if settings.database.url is None else PostgresStores(settings.database)


class SQLiteStores:
    """Two files in the data folder, for the processes of one machine."""

    def __init__(self, settings: Settings) -> None:
        self._log_file = settings.log_file
        self._views_file = settings.views_file

    @property
    def log_place(self) -> str:
        return str(self._log_file)

    @property
    def views_place(self) -> str:
        return str(self._views_file)

    def create(self) -> Iterator[str]:
        what = "is there" if self._log_file.exists() else "created"
        self.open_log().close()
        yield f"event log {self.log_place}: {what}"
        yield f"views {self.views_place}: built by whoever follows the log"

    def open_log(self) -> RecorderEventLog:
        return open_sqlite_log(self._log_file)

    def read_log(self) -> RecorderEventLog:
        datastore = SQLiteDatastore(f"{_existing(self._log_file).absolute().as_uri()}?mode=ro")
        return RecorderEventLog(SQLiteLogRecorder(datastore), EventMapper(), close=datastore.close)

    def open_tree(self) -> TreeStore:
        return SQLiteTreeStore(self._log_file)

    def read_tree(self) -> TreeStore:
        return SQLiteTreeStore(_existing(self._log_file), is_read_only=True)

    def open_views(self) -> Engine:
        return open_database(URL.create("sqlite", database=str(self._views_file)))

    def read_views(self) -> Engine:
        file = _existing(self._views_file).absolute().as_uri()
        return open_database(URL.create("sqlite", database=file, query={"mode": "ro", "uri": "true"}))

    async def take_part(
        self,
        heard: Callable[[], None],  # noqa: ARG002 - nothing tells of appends
        joined: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        with self._open_lock(LOG_LOCK) as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                raise LogTaken from None
            if joined is not None:
                await joined()
            await asyncio.Event().wait()

    async def run_alone(self, name: str, work: Callable[[], Awaitable[None]], stop: asyncio.Event) -> None:
        with self._open_lock(name) as lock:
            while not stop.is_set():
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    # The lock goes with the process that holds it, however that ends.
                    await wait_for_event(stop, _LOOK_AGAIN_SECONDS)
                else:
                    await work()
                    return

    def _open_lock(self, name: str) -> IO[str]:
        return (self._log_file.parent / f"{name}.lock").open("w")


def _existing(file: Path) -> Path:
    if not file.is_file():
        raise StoreMissing(str(file))
    return file
