"""Engines and transactions for views, the same way for PostgreSQL and SQLite."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from sqlalchemy import URL, Connection, Engine, StaticPool, create_engine, event, func, make_url, select

from projections.sqlite_file import remember_files

#: Whoever makes or replaces tables of views holds this advisory lock of PostgreSQL.
_DEFINITION_LOCK = 0x72_6B_76_69_65_77


def session_settings(*, busy_timeout: float = 10.0) -> Mapping[str, str]:
    """What sessions of PostgreSQL that keep views are told."""
    # Rows and position are lost together if the server crashes within the next moments, and folded again then.
    return {"synchronous_commit": "off", "lock_timeout": str(round(busy_timeout * 1000))}


def open_database(url: str | URL, *, busy_timeout: float = 10.0, parameters: Mapping[str, str] | None = None) -> Engine:
    """Make an engine for ``url``; ``busy_timeout`` (seconds) is how long one waits for another to finish.

    Understands ``postgresql://`` (always through psycopg), ``sqlite:///FILE`` and ``sqlite://`` (in memory). A
    ``postgresql://`` that says nothing else connects by ``parameters``, which are libpq's own.
    """
    url = make_url(url)
    if url.get_backend_name() != "sqlite":
        if parameters is None:
            session = session_settings(busy_timeout=busy_timeout)
            parameters = {"options": " ".join(f"-c {name}={value}" for name, value in session.items())}
        url = url.set(drivername="postgresql+psycopg")
        return create_engine(url, connect_args=dict(parameters), pool_pre_ping=True)
    in_memory = url.database in {None, "", ":memory:"}
    # One connection for all threads, or each of them would see a memory of its own.
    pool = {"poolclass": StaticPool} if in_memory else {}
    engine = create_engine(url, connect_args={"timeout": busy_timeout, "check_same_thread": False}, **pool)
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_on_sqlite)
    remember_files(engine)
    return engine


def _configure_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # sqlite3 would begin transactions only before INSERT and the like, so that what was read is not part of them.
    connection.isolation_level = None
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        # SQLite opens the files beside the database only when something is read.
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error:
        # Nobody else would, and a file that is damaged is to be let go.
        connection.close()
        raise
    except UnicodeDecodeError as error:
        # An error that quotes a damaged schema, which Python fails to put into words.
        connection.close()
        damage = sqlite3.DatabaseError("malformed database schema")
        damage.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise damage from error


def _begin_on_sqlite(connection: Connection) -> None:
    # A transaction that reads first and writes later fails at once, without waiting, where another wrote in between.
    kind = "IMMEDIATE" if connection.get_execution_options().get("writing") else "DEFERRED"
    connection.exec_driver_sql(f"BEGIN {kind}")


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Open a transaction that is going to write; commits at the end, rolls back on any error."""
    # An engine with the option would be made anew each time.
    with engine.connect().execution_options(writing=True) as connection, connection.begin():
        yield connection


@contextmanager
def defining(engine: Engine) -> Iterator[Connection]:
    """Open a transaction that makes, replaces or drops tables; there is one at a time."""
    with writing(engine) as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(select(func.pg_advisory_xact_lock(_DEFINITION_LOCK)))
        yield connection


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """Open a transaction that sees the database as of one moment, and holds nobody up."""
    options: dict[str, str] = {}
    if engine.dialect.name == "postgresql":
        options = {"isolation_level": "REPEATABLE READ"}
    with engine.execution_options(**options).begin() as connection:
        yield connection
