import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import DatabaseError, OperationalError

from projections.catalogue import VIEWS
from projections.database import open_database, writing
from projections.runner import ProjectionRunner
from projections.sqlite_file import reopen_if_replaced, set_aside_if_damaged
from projections.verify import verify
from tests.histories import History, random_history
from tests.projection_support import MemoryLog

DATABASE, WAL, SHM = "views.db", "views.db-wal", "views.db-shm"


@pytest.fixture(scope="module")
def history() -> History:
    """A long one."""
    return random_history(23, steps=120)


@asynccontextmanager
async def folding(engine: Engine, log: MemoryLog) -> AsyncIterator[None]:
    """Let a runner work, as it does in a worker; it is told to stop at the end."""
    stop = asyncio.Event()
    runner = ProjectionRunner(engine, VIEWS, log, poll_interval=0.01)
    async with asyncio.TaskGroup() as group:
        group.create_task(runner.run(stop, asyncio.Event()))
        yield
        stop.set()


async def assert_stranger_finds_rows_of(log: MemoryLog, folder: Path) -> None:
    """Whoever opens the file now sees what the log tells, whole."""
    stranger = open_database(f"sqlite:///{folder / DATABASE}")
    with closing(stranger.raw_connection()) as connection:
        positions = connection.cursor().execute("SELECT DISTINCT position FROM view_positions").fetchall()
    assert positions == [(log.head,)]
    assert await verify(log, VIEWS, engine=stranger, scratch=open_database("sqlite://")) == []
    stranger.dispose()


def noise(size: int = 50_000) -> bytes:
    return Random(5).randbytes(size)


@pytest.mark.parametrize("names", [[DATABASE], [DATABASE, WAL, SHM], [SHM, WAL, DATABASE]], ids=" ".join)
async def test_a_file_that_is_deleted_under_a_running_runner_comes_back(
    sqlite_engine: Engine, history: History, tmp_path: Path, names: list[str]
) -> None:
    log = MemoryLog(history.log[:-20])

    async with folding(sqlite_engine, log):
        await log.is_read_from(log.head)
        for name in names:
            (tmp_path / name).unlink()
        await log.is_read_from(0)
        await log.is_read_from(log.head)
        log.events += history.log[-20:]
        await log.is_read_from(log.head)

        await assert_stranger_finds_rows_of(log, tmp_path)


async def test_another_database_in_its_place_is_not_mixed_with_the_former_one(
    sqlite_engine: Engine, history: History, tmp_path: Path
) -> None:
    """What was not yet moved from the write-ahead log into the former file must not end up in the new one."""
    log = MemoryLog(history.log)
    earlier = open_database(f"sqlite:///{tmp_path}/earlier.db")
    await ProjectionRunner(earlier, VIEWS, log).catch_up(until=history.log[40].position)
    earlier.dispose()

    async with folding(sqlite_engine, log):
        await log.is_read_from(log.head)
        (tmp_path / "earlier.db").replace(tmp_path / DATABASE)
        await log.is_read_from(history.log[40].position)
        await log.is_read_from(log.head)

        await assert_stranger_finds_rows_of(log, tmp_path)


@pytest.mark.parametrize("names", [[WAL], [SHM], [WAL, SHM]], ids=" ".join)
async def test_nothing_is_lost_when_only_files_beside_the_database_are_deleted(
    sqlite_engine: Engine, history: History, tmp_path: Path, names: list[str]
) -> None:
    log = MemoryLog(history.log)
    await ProjectionRunner(sqlite_engine, VIEWS, log).catch_up()
    for name in names:
        (tmp_path / name).unlink()

    assert reopen_if_replaced(sqlite_engine)

    assert not reopen_if_replaced(sqlite_engine)
    await assert_stranger_finds_rows_of(log, tmp_path)


async def test_a_file_that_is_no_database_is_set_aside_at_the_start(
    sqlite_engine: Engine, history: History, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "views.db.damaged").write_bytes(b"an older one")
    (tmp_path / DATABASE).write_bytes(noise())
    log = MemoryLog(history.log)

    async with folding(sqlite_engine, log):
        await log.is_read_from(log.head)

        await assert_stranger_finds_rows_of(log, tmp_path)
    assert (tmp_path / "views.db.damaged").read_bytes() == noise()
    assert "views.db is damaged (file is not a database): set aside as" in caplog.text


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: whole[:100] + noise(len(whole) - 100),
        lambda whole: whole[: len(whole) // 2],
        lambda whole: whole.replace(b"TABLE view_positions (", b"TABLE view_positions \xc5"),
    ],
    ids=["noise behind the header", "half of it", "no text in the schema"],
)
async def test_a_damaged_database_is_set_aside_at_the_start(
    sqlite_engine: Engine, history: History, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    await ProjectionRunner(sqlite_engine, VIEWS, MemoryLog(history.log)).catch_up()
    sqlite_engine.dispose()
    damaged = damage((tmp_path / DATABASE).read_bytes())
    (tmp_path / DATABASE).write_bytes(damaged)
    log = MemoryLog(history.log)

    async with folding(sqlite_engine, log):
        await log.is_read_from(0)
        await log.is_read_from(log.head)

        await assert_stranger_finds_rows_of(log, tmp_path)
    assert (tmp_path / "views.db.damaged").read_bytes() == damaged


async def test_a_file_that_is_overwritten_under_a_running_runner_is_set_aside(
    sqlite_engine: Engine, history: History, tmp_path: Path
) -> None:
    """It is noticed also while nothing happens."""
    log = MemoryLog(history.log)
    await ProjectionRunner(sqlite_engine, VIEWS, log).catch_up()
    sqlite_engine.dispose()

    async with folding(sqlite_engine, log):
        await log.is_read_from(log.head)
        (tmp_path / DATABASE).write_bytes(noise())
        await log.is_read_from(0)
        await log.is_read_from(log.head)

        await assert_stranger_finds_rows_of(log, tmp_path)
    assert (tmp_path / "views.db.damaged").read_bytes() == noise()


async def test_a_new_file_is_not_set_aside_for_the_damage_of_the_former_one(
    sqlite_engine: Engine, history: History, tmp_path: Path
) -> None:
    """Another worker may have been first."""
    log = MemoryLog(history.log)
    other = open_database(f"sqlite:///{tmp_path / DATABASE}")
    for engine in (sqlite_engine, other):
        await ProjectionRunner(engine, VIEWS, log).catch_up()
        engine.dispose()
        engine.connect().close()
    (tmp_path / DATABASE).write_bytes(noise())
    with pytest.raises(DatabaseError) as damage:
        reopen_if_replaced(sqlite_engine)

    for engine in (other, sqlite_engine):
        assert set_aside_if_damaged(engine, damage.value)
        await ProjectionRunner(engine, VIEWS, log).catch_up()

    await assert_stranger_finds_rows_of(log, tmp_path)
    assert (tmp_path / "views.db.damaged").read_bytes() == noise()


async def test_a_database_that_is_merely_busy_is_left_where_it_is(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / DATABASE}"
    impatient = open_database(url, busy_timeout=0.01)

    with writing(open_database(url)), pytest.raises(OperationalError, match="locked") as caught:
        await ProjectionRunner(impatient, VIEWS, MemoryLog()).run(asyncio.Event(), asyncio.Event())

    assert not set_aside_if_damaged(impatient, caught.value)
    assert not (tmp_path / "views.db.damaged").exists()


def test_a_database_in_memory_has_no_file_to_be_missed() -> None:
    assert not reopen_if_replaced(open_database("sqlite://"))
