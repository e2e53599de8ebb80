"""The contract suites that come with the eventsourcing library, run against the recorder that stands on PostgreSQL.

The suite for aggregate recorders is left out: the library runs it only against recorders that give no positions.
"""

from unittest import TestCase
from uuid import uuid4

import psycopg
import pytest
from eventsourcing.persistence import ApplicationRecorder
from eventsourcing.tests import persistence as library

from adapters.event_store.postgres import PostgresLogRecorder
from adapters.event_store.postgres_datastore import LogDatastore, PostgresLimits
from adapters.postgres.address import PostgresAddress


class _OnPostgres(TestCase):
    @pytest.fixture(autouse=True)
    def _database(self, postgres_url: str) -> None:
        self.url = postgres_url

    def create_recorder(self) -> PostgresLogRecorder:
        schema = f"library_{uuid4().hex}"
        limits = PostgresLimits(connections=50, connection_wait_seconds=60)
        datastore = LogDatastore(PostgresAddress(self.url), schema=schema, limits=limits)
        self.addCleanup(self._drop, schema)
        self.addCleanup(datastore.close)
        recorder = PostgresLogRecorder(datastore)
        recorder.create_table()
        return recorder

    def _drop(self, schema: str) -> None:
        with psycopg.connect(self.url) as connection:
            connection.execute(f'DROP SCHEMA "{schema}" CASCADE'.encode())


class TestLibraryApplicationRecorderOnPostgres(_OnPostgres, library.ApplicationRecorderTestCase[ApplicationRecorder]):
    pass


class TestLibraryTrackingRecorderOnPostgres(_OnPostgres, library.TrackingRecorderTestCase):
    pass


class TestLibraryProcessRecorderOnPostgres(_OnPostgres, library.ProcessRecorderTestCase):
    pass


class TestLibraryPositionsDoNotInterleaveOnPostgres(_OnPostgres, library.NonInterleavingNotificationIDsBaseCase):
    pass
