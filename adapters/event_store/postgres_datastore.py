"""The eventsourcing library's datastore for PostgreSQL, on connections that say why there are none."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Final

import psycopg
from eventsourcing import persistence
from eventsourcing.postgres import PostgresDatastore
from psycopg import Connection
from psycopg.errors import DeadlockDetected, ReadOnlySqlTransaction, SerializationFailure
from psycopg.rows import DictRow
from pydantic import Field

from adapters.postgres.address import PostgresAddress
from adapters.postgres.connections import CannotConnect, Connections
from adapters.postgres.reasons import reason
from handlers.ports import LogUnavailable

_Count = Annotated[int, Field(ge=1)]
_Seconds = Annotated[float, Field(ge=0.001, le=3600)]


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresLimits:
    """How the log uses PostgreSQL; times in seconds.

    ``connections``: most at a time (count), of which one writes. ``connection_wait_seconds``: how long a call waits for
    one of them. ``lock_timeout_seconds``: how long an append waits for those of other workers.
    ``idle_timeout_seconds``: after this the server ends a transaction whose client has gone silent, so that others can
    append. ``statement_timeout_seconds``: the most that any statement takes. ``answer_timeout_seconds``: how long it is
    tried to find out what became of a commit whose answer was lost. ``attempts``: how often an append is tried (count)
    where a connection turns out to be dead, or on deadlock and serialization failure.
    """

    connections: _Count = 5
    connection_wait_seconds: _Seconds = 10.0
    lock_timeout_seconds: _Seconds = 5.0
    idle_timeout_seconds: _Seconds = 5.0
    statement_timeout_seconds: _Seconds = 30.0
    answer_timeout_seconds: _Seconds = 15.0
    attempts: _Count = 3


#: The severities with which a server says that a connection is over.
_END_OF_CONNECTION: Final = frozenset({"FATAL", "PANIC"})

#: The library's errors for the driver's, special before general.
_ERRORS: Final = (
    (psycopg.InterfaceError, persistence.InterfaceError),
    (psycopg.DataError, persistence.DataError),
    (psycopg.IntegrityError, persistence.IntegrityError),
    (psycopg.InternalError, persistence.InternalError),
    (psycopg.ProgrammingError, persistence.ProgrammingError),
    (psycopg.NotSupportedError, persistence.NotSupportedError),
    (psycopg.DatabaseError, persistence.DatabaseError),
)


class LogDatastore(PostgresDatastore):
    """Lends connections to a recorder; the library's own pool is never opened.

    Calls that cannot connect raise :class:`LogUnavailable`, which the library does not retry: whoever asked decides.
    """

    def __init__(
        self, address: PostgresAddress, *, schema: str, limits: PostgresLimits, is_read_only: bool = False
    ) -> None:
        super().__init__("", "", "", "", "", schema=schema)
        self.limits = limits
        session = {
            "lock_timeout": _milliseconds(limits.lock_timeout_seconds),
            "idle_in_transaction_session_timeout": _milliseconds(limits.idle_timeout_seconds),
            "statement_timeout": _milliseconds(limits.statement_timeout_seconds),
            "default_transaction_read_only": "on" if is_read_only else "off",
        }
        self.connections = Connections(
            address, limit=limits.connections, wait_seconds=limits.connection_wait_seconds, session=session
        )

    @property
    def address(self) -> PostgresAddress:
        """Where the log is."""
        return self.connections.address

    @contextmanager
    def get_connection(self) -> Iterator[Connection[DictRow]]:
        try:
            with self.connections.borrow() as connection:
                try:
                    yield connection
                except psycopg.Error as error:
                    raise _translated(error, connection) from error
        except CannotConnect as error:
            raise LogUnavailable(str(error)) from error

    def register_type_adapters(self) -> None:
        """Do nothing: no composite types are used, and nobody connects only because a recorder is made."""

    def close(self) -> None:
        if hasattr(self, "connections"):
            self.connections.close()


def _translated(error: psycopg.Error, connection: Connection[DictRow]) -> Exception:
    """The library's error for the driver's: an ``OperationalError`` exactly where trying again at once makes sense."""
    if error.diag.severity_nonlocalized in _END_OF_CONNECTION or isinstance(error, ReadOnlySqlTransaction):
        # The server may not have closed it yet, or it has become a standby and another one stands in its place.
        connection.close()
    if connection.closed or isinstance(error, DeadlockDetected | SerializationFailure):
        return persistence.OperationalError(str(error))
    if isinstance(error, psycopg.OperationalError):
        return LogUnavailable(f"the event store does not answer: {reason(error)}")
    return next((ours(str(error)) for theirs, ours in _ERRORS if isinstance(error, theirs)), error)


def _milliseconds(seconds: float) -> str:
    return str(round(seconds * 1000))
