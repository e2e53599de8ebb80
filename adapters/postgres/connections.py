"""Connections to PostgreSQL: made when they are needed, kept for the next who asks, never more than a limit.

The pool that the eventsourcing library would use says only that it waited in vain, not why it cannot connect, and after
an outage it connects again only when its own backoff, which grows to minutes, allows it.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import BoundedSemaphore, Lock

from psycopg import Connection, Error, OperationalError
from psycopg.pq import TransactionStatus
from psycopg.rows import DictRow, dict_row

from adapters.postgres.address import PostgresAddress
from adapters.postgres.arrays import register_arrays
from adapters.postgres.reasons import reason


class CannotConnect(OperationalError):
    """No connection could be made, or none was free in time; the message says why."""


class Connections:
    """At most ``limit`` connections (count) for any number of threads.

    ``wait_seconds`` is how long one waits for a connection that others use. All connections commit by themselves
    unless told otherwise. ``session`` are the server's own settings for them.
    """

    def __init__(
        self, address: PostgresAddress, *, limit: int, wait_seconds: float, session: Mapping[str, str] | None = None
    ) -> None:
        self.address = address
        self._conninfo = address.conninfo(session)
        self._free = BoundedSemaphore(limit)
        self._wait_seconds = wait_seconds
        self._idle: list[Connection[DictRow]] = []
        self._lock = Lock()
        self._is_closed = False

    @contextmanager
    def borrow(self) -> Iterator[Connection[DictRow]]:
        """Lend a connection. Raises :class:`CannotConnect`."""
        if not self._free.acquire(timeout=self._wait_seconds):
            raise CannotConnect(f"all connections to {self.address} were in use for {self._wait_seconds:g} s")
        try:
            connection = self._take() or self._connect()
            try:
                yield connection
            finally:
                self._give_back(connection)
        finally:
            self._free.release()

    def close(self) -> None:
        """Close what is idle, and what is in use when it comes back."""
        with self._lock:
            self._is_closed = True
        self._close_idle()

    def _take(self) -> Connection[DictRow] | None:
        with self._lock:
            # The last one back is the least likely to have been closed by somebody on the way.
            return self._idle.pop() if self._idle else None

    def _connect(self) -> Connection[DictRow]:
        if self._is_closed:
            raise CannotConnect(f"the connections to {self.address} were closed")
        try:
            made = Connection.connect(self._conninfo, autocommit=True, row_factory=dict_row)
        except OperationalError as error:
            raise CannotConnect(f"cannot connect to {self.address}: {reason(error)}") from error
        register_arrays(made)
        return made

    def _give_back(self, connection: Connection[DictRow]) -> None:
        if _is_usable(connection):
            with self._lock:
                if not self._is_closed:
                    self._idle.append(connection)
                    return
            connection.close()
        else:
            connection.close()
            # Where one was cut, the others most likely were too; without this each of them would fail one call.
            self._close_idle()

    def _close_idle(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()


def _is_usable(connection: Connection[DictRow]) -> bool:
    """Whether the next one can work with it; a transaction that was left open is rolled back."""
    if connection.closed:
        return False
    if connection.info.transaction_status in {TransactionStatus.INTRANS, TransactionStatus.INERROR}:
        try:
            connection.rollback()
        except Error:
            return False
    return connection.info.transaction_status is TransactionStatus.IDLE
