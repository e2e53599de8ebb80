"""A log store on PostgreSQL for the contracts of event stores."""

import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID, uuid4

import psycopg

from adapters.event_store.event_log import RecorderEventLog
from adapters.event_store.postgres import PostgresLogRecorder
from adapters.event_store.postgres_datastore import LogDatastore, PostgresLimits
from adapters.event_store.postgres_log import open_postgres_log
from adapters.postgres.address import PostgresAddress

DEFAULT_LIMITS = PostgresLimits()


class PostgresStore:
    """A schema of its own in a database, and the logs that were opened on it, possibly ``through`` another address."""

    def __init__(self, url: str, *, through: str | None = None) -> None:
        self.url = url
        self.address = PostgresAddress(through or url)
        self.schema = f"log_{uuid4().hex}"
        self._logs: list[RecorderEventLog] = []
        self._datastores: list[LogDatastore] = []

    def open(self, *, max_event_bytes: int = 512 * 1024, limits: PostgresLimits = DEFAULT_LIMITS) -> RecorderEventLog:
        log = open_postgres_log(self.address, schema=self.schema, max_event_bytes=max_event_bytes, limits=limits)
        self._logs.append(log)
        return log

    def open_recorder(self, limits: PostgresLimits = DEFAULT_LIMITS) -> PostgresLogRecorder:
        """What a log stands on, for what a log does not offer."""
        self.open()
        datastore = LogDatastore(self.address, schema=self.schema, limits=limits)
        self._datastores.append(datastore)
        return PostgresLogRecorder(datastore)

    def plant_event(self, stream_id: UUID, version: int, topic: str, state: bytes) -> None:
        self.execute("INSERT INTO stored_events VALUES (%s, %s, %s, %s)", (stream_id, version, topic, state))

    def plant_commit(self, position: int, at: datetime) -> None:
        self.execute("INSERT INTO commits VALUES (%s, %s)", (position, at))

    def outcomes(self) -> Mapping[tuple[str, str], str]:
        rows = self.execute("SELECT source, id, outcome FROM command_outcomes")
        return {(source, id_): outcome for source, id_, outcome in rows}

    def keep_appending(self) -> Sequence[str]:
        return [sys.executable, "-m", "tests.adapters.append_until_killed", "postgres", f"{self.url} {self.schema}"]

    def close(self) -> None:
        for log in self._logs:
            log.close()
        for datastore in self._datastores:
            datastore.close()
        self.execute(f"DROP SCHEMA IF EXISTS {self.schema} CASCADE")

    def kill_connections(self) -> None:
        """End all connections of Routekeeper's to the database."""
        self.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'routekeeper'")

    def execute(self, statement: str, parameters: Sequence[object] = ()) -> list[tuple[str, ...]]:
        """Do something behind the logs' backs."""
        with psycopg.connect(self.url, options=f"-c search_path={self.schema}") as connection:
            cursor = connection.execute(statement.encode(), parameters)
            return cursor.fetchall() if cursor.description else []
