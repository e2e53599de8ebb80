"""Opens the event log on PostgreSQL."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Final

from eventsourcing.persistence import ProgrammingError

from adapters.event_store.event_log import RecorderEventLog
from adapters.event_store.mapper import MAX_EVENT_BYTES, EventMapper
from adapters.event_store.postgres import PostgresLogRecorder
from adapters.event_store.postgres_datastore import LogDatastore, PostgresLimits
from adapters.event_store.postgres_tables import TREE_TABLE_NAMES
from adapters.postgres.address import PostgresAddress
from adapters.postgres.reasons import reason
from domain.errors import RoutekeeperError

#: The schema that holds the log.
LOG_SCHEMA: Final = "routekeeper"

_DEFAULT_LIMITS: Final = PostgresLimits()


class EventStoreNotReady(RoutekeeperError):
    """The tables of the event store are not there, or are not for this user."""


def open_postgres_log(
    address: PostgresAddress,
    *,
    schema: str = LOG_SCHEMA,
    limits: PostgresLimits = _DEFAULT_LIMITS,
    max_event_bytes: int = MAX_EVENT_BYTES,
    creates_tables: bool = True,
    is_read_only: bool = False,
) -> RecorderEventLog:
    """Open the log in a PostgreSQL database; with ``creates_tables`` what is missing is made.

    Raises :class:`EventStoreNotReady`, and :class:`~handlers.ports.LogUnavailable` if the database does not answer.
    """
    datastore = LogDatastore(address, schema=schema, limits=limits, is_read_only=is_read_only)
    recorder = PostgresLogRecorder(datastore)
    try:
        with _saying_what_is_missing(recorder):
            _prepare(recorder, creates_tables=creates_tables, is_read_only=is_read_only)
    except BaseException:
        # Also an interrupt must not leave connections behind that nobody can close any more.
        datastore.close()
        raise
    return RecorderEventLog(recorder, EventMapper(max_event_bytes), close=datastore.close)


def create_postgres_log(
    address: PostgresAddress, *, schema: str = LOG_SCHEMA, limits: PostgresLimits = _DEFAULT_LIMITS
) -> Sequence[str]:
    """Create the tables that are missing, and give their names; raises what :func:`open_postgres_log` raises."""
    recorder = PostgresLogRecorder(LogDatastore(address, schema=schema, limits=limits))
    with closing(recorder.store), _saying_what_is_missing(recorder):
        return recorder.create_missing_tables()


def _prepare(recorder: PostgresLogRecorder, *, creates_tables: bool, is_read_only: bool) -> None:
    with recorder.store.get_connection() as connection:
        missing = recorder.missing_tables(connection)
    if is_read_only:
        missing = [name for name in missing if name not in TREE_TABLE_NAMES]
    if missing and (is_read_only or not creates_tables):
        raise EventStoreNotReady(
            f"{_place(recorder)}: there are no tables {', '.join(missing)}; run 'routekeeper init'"
        )
    if missing:
        recorder.create_table()
    recorder.max_notification_id()


@contextmanager
def _saying_what_is_missing(recorder: PostgresLogRecorder) -> Iterator[None]:
    try:
        yield
    except ProgrammingError as error:
        raise EventStoreNotReady(f"{_place(recorder)}: {reason(error)}; let its owner run 'routekeeper init'") from None


def _place(recorder: PostgresLogRecorder) -> str:
    return f"the event store at {recorder.store.address}, schema {recorder.store.schema}"
