import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

import pytest
from sqlalchemy import Engine, event, text
from sqlalchemy.exc import DBAPIError

from projections.catalogue import VIEWS
from projections.errors import ProjectionConflict
from projections.folding import ViewFold, apply_batch
from projections.placement import place
from projections.runner import ProjectionRunner
from tests.histories import History, random_history
from tests.projection_support import AllRows, MemoryLog, all_rows, created, log_of, registered, scaled_out


@pytest.fixture(scope="module")
def history() -> History:
    """A long one."""
    return random_history(11, steps=120)


async def rows_from_zero(engine: Engine, history: History) -> AllRows:
    """What the views hold when they are built anew."""
    runner = ProjectionRunner(engine, VIEWS, MemoryLog(history.log))
    await runner.rebuild()
    await runner.catch_up()
    return all_rows(engine)


class Crash(Exception):
    """The process is gone, as far as anybody can tell from outside."""


@contextmanager
def crashing(engine: Engine, at_statement: int) -> Iterator[None]:
    """Let one statement fail, counted from now on."""
    seen = 0

    def crash(*_: object) -> None:
        nonlocal seen
        seen += 1
        if seen == at_statement:
            raise Crash

    event.listen(engine, "before_cursor_execute", crash)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", crash)


async def test_a_crash_within_a_batch_leaves_rows_and_position_together(engine: Engine, history: History) -> None:
    """Whichever statement is the last one: the same runner goes on, and comes to the same rows."""
    expected = await rows_from_zero(engine, history)
    runner = ProjectionRunner(engine, VIEWS, MemoryLog(history.log), batch_size=25)
    await runner.rebuild()
    await runner.catch_up(until=0)

    crashes, at_statement = 0, 1
    more = True
    while more:
        before, position = all_rows(engine), runner.positions
        try:
            with crashing(engine, at_statement):
                more = await runner.step()
            at_statement = 1
        except Crash:
            assert (all_rows(engine), runner.positions) == (before, position)
            crashes, at_statement = crashes + 1, at_statement + 1

    assert crashes > 10
    assert all_rows(engine) == expected


async def test_runners_that_share_a_database_fold_each_event_once(engine: Engine, history: History) -> None:
    expected = await rows_from_zero(engine, history)
    log = MemoryLog(history.log)
    runners = [ProjectionRunner(engine, VIEWS, log, batch_size=size) for size in (3, 7, 20)]
    await runners[0].rebuild()
    random = Random(3)

    while not all(set(runner.positions.values()) == {history.log[-1].position} for runner in runners):
        await random.choice(runners).step()

    assert all_rows(engine) == expected


async def test_runners_that_fold_at_the_same_time_do_not_harm_each_other(engine: Engine, history: History) -> None:
    expected = await rows_from_zero(engine, history)
    log = MemoryLog(history.log)
    runners = [ProjectionRunner(engine, VIEWS, log, batch_size=size) for size in (4, 9)]
    await runners[0].rebuild()

    await asyncio.gather(*(runner.catch_up() for runner in runners))

    assert all_rows(engine) == expected


async def test_a_runner_that_was_overtaken_stands_by_until_it_is_needed(sqlite_engine: Engine) -> None:
    log, stop, wake = log_of(created()), asyncio.Event(), asyncio.Event()
    second = ProjectionRunner(sqlite_engine, VIEWS, log, poll_interval=0.01)
    await second.catch_up()
    log.append(registered())
    await ProjectionRunner(sqlite_engine, VIEWS, log).catch_up()

    async with asyncio.TaskGroup() as group:
        group.create_task(second.run(stop, wake))
        await log.is_read_from(20)
        await log.is_read_from(log.append(scaled_out(1)))
        stop.set()

    assert second.positions["deployments"] == 30


async def test_a_batch_is_refused_where_the_position_has_moved(engine: Engine) -> None:
    log = log_of(created(), registered())
    placed = [place(engine, view) for view in VIEWS]
    folds = [ViewFold(engine, where, cached_rows=10) for where in placed if where is not None]
    await ProjectionRunner(engine, VIEWS, log).catch_up()

    with pytest.raises(ProjectionConflict, match="are not at position 0"):
        apply_batch(engine, folds, log.events, position=log.head)


@pytest.mark.parametrize(
    "damage",
    [
        "DROP TABLE deployments",
        "DROP TABLE routes",
        "DROP TABLE view_positions",
        "DROP TABLE deployments; DROP TABLE routes; DROP TABLE replicas; DROP TABLE view_positions",
        "DELETE FROM view_positions WHERE view = 'deployments'",
        "UPDATE view_positions SET position = 0",
    ],
)
async def test_what_was_removed_from_under_a_runner_comes_back(engine: Engine, history: History, damage: str) -> None:
    expected = await rows_from_zero(engine, history)
    log = MemoryLog(history.log[:-20])
    runner = ProjectionRunner(engine, VIEWS, log)
    await runner.rebuild()
    await runner.catch_up()
    remove(engine, damage)

    log.events += history.log[-20:]
    await runner.catch_up()
    assert all_rows(engine) == expected


def remove(engine: Engine, damage: str) -> None:
    with engine.begin() as connection:
        for statement in damage.split("; "):
            connection.execute(text(statement))


async def test_tables_come_back_also_while_nothing_happens(sqlite_engine: Engine) -> None:
    log, stop = log_of(created(), registered(), scaled_out(1)), asyncio.Event()
    runner = ProjectionRunner(sqlite_engine, VIEWS, log, poll_interval=0.01)

    async with asyncio.TaskGroup() as group:
        group.create_task(runner.run(stop, asyncio.Event()))
        await log.is_read_from(30)
        before = all_rows(sqlite_engine)
        remove(sqlite_engine, "DROP TABLE rejected_records; DROP TABLE deployments")
        await log.is_read_from(0)
        await log.is_read_from(30)
        stop.set()

    assert all_rows(sqlite_engine) == before


async def test_rows_that_somebody_removed_come_back_when_they_are_missed(engine: Engine, history: History) -> None:
    expected = await rows_from_zero(engine, history)
    log = MemoryLog(history.log[:-40])
    runner = ProjectionRunner(engine, VIEWS, log)
    await runner.rebuild()
    await runner.catch_up()
    remove(engine, "DELETE FROM deployments")

    log.events += history.log[-40:]
    await ProjectionRunner(engine, VIEWS, log).catch_up()

    assert all_rows(engine) == expected


async def test_a_database_that_refuses_for_another_reason_is_not_rebuilt(sqlite_engine: Engine) -> None:
    log = log_of(created())
    runner = ProjectionRunner(sqlite_engine, VIEWS, log)
    await runner.catch_up()
    remove(sqlite_engine, "ALTER TABLE replicas RENAME COLUMN target TO aim")
    log.append(registered(), scaled_out(1))

    with pytest.raises(DBAPIError, match="target"):
        await runner.catch_up()

    assert runner.positions["deployments"] == 10
