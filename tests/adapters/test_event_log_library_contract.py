"""The contract suites that come with the eventsourcing library, run against the recorder that stands on SQLite.

As in the library's own tests of SQLite, the recorder is given a file or one memory that all connections share. The
suite for aggregate recorders is left out: the library runs it only against recorders that give no positions.
"""

import tempfile
import threading
from pathlib import Path
from unittest import TestCase
from uuid import uuid4

from eventsourcing.persistence import ApplicationRecorder
from eventsourcing.sqlite import SQLiteDatastore
from eventsourcing.tests import persistence as library

from adapters.event_store.sqlite import SQLiteLogRecorder


class _OnSQLite(TestCase):
    def create_recorder(self) -> SQLiteLogRecorder:
        return self.recorder_on(self.file())

    def file(self) -> str:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        return str(Path(folder.name) / "log.db")

    def recorder_on(self, database: str) -> SQLiteLogRecorder:
        datastore = SQLiteDatastore(database, pool_size=100)
        self.addCleanup(self.close, datastore, already=frozenset(threading.enumerate()))
        recorder = SQLiteLogRecorder(datastore)
        recorder.create_table()
        return recorder

    def close(self, datastore: SQLiteDatastore, *, already: frozenset[threading.Thread]) -> None:
        """Wait for the threads that the suite leaves behind: sqlite3 crashes where one reads while another closes."""
        for thread in set(threading.enumerate()) - already:
            thread.join(10)
        datastore.close()


class _InMemory(_OnSQLite):
    def create_recorder(self) -> SQLiteLogRecorder:
        return self.recorder_on(f"file:{uuid4()}?mode=memory&cache=shared")


class TestLibraryApplicationRecorder(_OnSQLite, library.ApplicationRecorderTestCase[ApplicationRecorder]):
    pass


class TestLibraryApplicationRecorderInMemory(_InMemory, library.ApplicationRecorderTestCase[ApplicationRecorder]):
    pass


class TestLibraryTrackingRecorder(_OnSQLite, library.TrackingRecorderTestCase):
    pass


class TestLibraryProcessRecorder(_OnSQLite, library.ProcessRecorderTestCase):
    pass


class TestLibraryProcessRecorderInMemory(_InMemory, library.ProcessRecorderTestCase):
    pass


class TestLibraryPositionsDoNotInterleave(_OnSQLite, library.NonInterleavingNotificationIDsBaseCase):
    pass


class TestLibraryPositionsDoNotInterleaveInMemory(_InMemory, library.NonInterleavingNotificationIDsBaseCase):
    pass
