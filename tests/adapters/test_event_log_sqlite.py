"""The event store on SQLite keeps the contracts of every event store, and has a few ways of its own."""

import asyncio
import sqlite3
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from adapters.event_store.event_log import RecorderEventLog, open_sqlite_log
from handlers.ports import LogBatch, LogUnavailable
from tests.adapters.event_log_contract import AppendContract, OutcomeContract, PositionContract, RaceContract
from tests.adapters.event_log_crash_contract import CrashContract
from tests.adapters.event_log_reading_contract import (
    CommitTimeContract,
    DueWorkContract,
    FollowerContract,
    ReadContract,
    UnknownEventContract,
)
from tests.adapters.event_log_retention_contract import RetentionContract
from tests.adapters.event_log_scaling_contract import (
    BesideContract,
    EvaluationsContract,
    SamplesContract,
    ScalingDeploymentsContract,
)
from tests.adapters.event_log_support import error_of, events


class SQLiteStore:
    """A file, and the logs that were opened on it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._logs: list[RecorderEventLog] = []

    def open(self, *, max_event_bytes: int = 512 * 1024) -> RecorderEventLog:
        log = open_sqlite_log(self.path, max_event_bytes=max_event_bytes)
        self._logs.append(log)
        return log

    def plant_event(self, stream_id: UUID, version: int, topic: str, state: bytes) -> None:
        self._execute("INSERT INTO stored_events VALUES (?,?,?,?)", (stream_id.hex, version, topic, state))

    def plant_commit(self, position: int, at: datetime) -> None:
        self._execute("INSERT INTO commits VALUES (?,?)", (position, int(at.timestamp()) * 1_000_000))

    def outcomes(self) -> Mapping[tuple[str, str], str]:
        rows = self._execute("SELECT source, id, outcome FROM command_outcomes")
        return {(source, id_): outcome for source, id_, outcome in rows}

    def keep_appending(self) -> Sequence[str]:
        return [sys.executable, "-m", "tests.adapters.append_until_killed", "sqlite", str(self.path)]

    def close(self) -> None:
        for log in self._logs:
            log.close()

    def _execute(self, statement: str, parameters: Sequence[object] = ()) -> list[tuple[str, str, str]]:
        with sqlite3.connect(self.path) as connection:
            rows = connection.execute(statement, parameters).fetchall()
        connection.close()
        return rows


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SQLiteStore]:
    store = SQLiteStore(tmp_path / "log.db")
    yield store
    store.close()


class TestAppending(AppendContract):
    pass


class TestPositions(PositionContract):
    pass


class TestOutcomes(OutcomeContract):
    pass


class TestRaces(RaceContract):
    pass


class TestReading(ReadContract):
    pass


class TestUnknownEvents(UnknownEventContract):
    pass


class TestCommitTimes(CommitTimeContract):
    pass


class TestDueWork(DueWorkContract):
    pass


class TestFollowers(FollowerContract):
    pass


class TestCrashes(CrashContract):
    pass


class TestSamples(SamplesContract):
    pass


class TestEvaluations(EvaluationsContract):
    pass


class TestBeside(BesideContract):
    pass


class TestScalingDeployments(ScalingDeploymentsContract):
    pass


class TestRetention(RetentionContract):
    pass


class TestReadingFromMemory(ReadContract):
    """Without a file as well, all connections of a log see the same memory."""

    @pytest.fixture
    def log(self) -> Iterator[RecorderEventLog]:
        log = open_sqlite_log(":memory:")
        yield log
        log.close()


async def test_two_logs_in_memory_know_nothing_of_each_other() -> None:
    one, other = open_sqlite_log(":memory:"), open_sqlite_log(":memory:")

    await one.append(LogBatch(events=events(1)))

    assert await other.head() == 0
    one.close()
    other.close()


async def test_what_was_written_is_there_when_the_file_is_opened_again(store: SQLiteStore) -> None:
    stream = uuid4()
    await store.open().append(LogBatch(events=events(3, stream)))

    assert await store.open().stream_version(stream) == 3


async def test_a_file_that_somebody_else_holds_is_unavailable_and_answers_again_afterwards(store: SQLiteStore) -> None:
    log = open_sqlite_log(store.path, lock_timeout_seconds=1)
    holder = sqlite3.connect(store.path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")

    refusal = await error_of(log.append(LogBatch(events=events(1))))
    holder.rollback()
    holder.close()

    assert type(refusal) is LogUnavailable
    assert await log.append(LogBatch(events=events(1))) == [1]
    log.close()


def test_a_file_that_cannot_be_opened_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(LogUnavailable, match="unable to open database file"):
        open_sqlite_log(tmp_path)


async def test_once_open_the_log_needs_no_further_connections(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the process has run out of file handles, the log goes on."""
    log = store.open()

    def no_more(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("unable to open database file")

    monkeypatch.setattr(sqlite3, "connect", no_more)
    reads = (log.stream_version(uuid4()) for _ in range(50))
    versions, *_ = await asyncio.gather(
        asyncio.gather(*reads), *(log.append(LogBatch(events=events(1))) for _ in range(20))
    )

    assert set(versions) == {0}
    assert await log.head() == 20
