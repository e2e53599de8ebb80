"""Rows of time series go when their time is over; views that lack them are verified and folded on all the same."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, text

from domain.routes import RouteStatus
from projections.catalogue import VIEWS
from projections.database import open_database
from projections.pruning import Pruner, find_horizons
from projections.runner import ProjectionRunner
from projections.verify import Difference, verify
from tests.histories import History, random_history
from tests.projection_support import (
    AllRows,
    MemoryLog,
    after,
    all_rows,
    created,
    log_of,
    reported,
    scaled_out,
    terminating,
)

Rows = Sequence[Mapping[str, Any]]

#: Which column of which table says since when a row tells only of what was.
OVER = {
    "replicas": "at",
    "routes": "ended_at",
    "autoscaling_decisions": "at",
    "operation_failures": "resolved_at",
    "rejected_records": "at",
}


@pytest.fixture(scope="module")
def history() -> History:
    """A long one."""
    return random_history(62, steps=400)


def half_way(history: History) -> datetime:
    return history.log[len(history.log) // 2].recorded.event.at


async def pruned(engine: Engine, log: MemoryLog, before: datetime) -> ProjectionRunner:
    """Fold the log, and delete what is from before a moment."""
    runner = ProjectionRunner(engine, VIEWS, log, pruner=Pruner(lambda: before, batch_rows=7))
    await runner.catch_up()
    await prune(runner)
    return runner


async def prune(runner: ProjectionRunner) -> None:
    while await runner.prune():
        pass


async def differences(engine: Engine, log: MemoryLog) -> list[Difference]:
    return await verify(log, VIEWS, engine=engine, scratch=open_database("sqlite://"))


def horizons(engine: Engine) -> Mapping[str, datetime]:
    with engine.connect() as connection:
        return find_horizons(connection)


def last_by(rows: Rows, before: datetime) -> set[int]:
    """The positions of the last row of each deployment from before a moment."""
    return set({row["deployment_id"]: row["position"] for row in rows if row["at"] < before}.values())


def expected(everything: AllRows, before: datetime) -> AllRows:
    """What is to be left of all rows."""
    left = dict(everything)
    for name, column in OVER.items():
        rows = sorted(everything[name], key=lambda row: row.get("position", 0))
        stay = last_by(rows, before) if name in {"replicas", "autoscaling_decisions"} else set()
        left[name] = [
            row for row in everything[name] if not (row[column] and row[column] < before) or row.get("position") in stay
        ]
    return left


async def test_what_was_goes_and_what_is_stays(engine: Engine, history: History) -> None:
    """So does the last row by then of each deployment's numbers and decisions, which held on after it."""
    before = half_way(history)
    whole = open_database("sqlite://")
    await ProjectionRunner(whole, VIEWS, MemoryLog(history.log)).catch_up()
    everything = all_rows(whole)

    await pruned(engine, MemoryLog(history.log), before)

    left = all_rows(engine)
    assert left == expected(everything, before)
    assert all(len(left[name]) < len(everything[name]) for name in OVER), "otherwise this shows nothing"
    assert set(horizons(engine).values()) == {before}


async def test_views_that_were_pruned_are_as_the_log_has_them_and_go_on(engine: Engine, history: History) -> None:
    """Whatever is said later of routes that are over."""
    log = MemoryLog(history.log[:-120])
    runner = await pruned(engine, log, history.log[-130].recorded.event.at)
    assert await differences(engine, log) == []

    log.events += history.log[-120:]
    await runner.catch_up()

    assert await differences(engine, log) == []


@pytest.mark.parametrize(
    ("tampering", "table"),
    [
        ("DELETE FROM replicas WHERE at >= :before", "replicas"),
        ("DELETE FROM routes WHERE ended_at >= :before", "routes"),
        ("DELETE FROM routes WHERE ended_at IS NULL", "routes"),
        ("DELETE FROM operation_failures WHERE resolved_at IS NULL", "operation_failures"),
        ("DELETE FROM rejected_records WHERE at >= :before", "rejected_records"),
        # The last row of a deployment from before the horizon must be there.
        ("DELETE FROM replicas WHERE at < :before", "replicas"),
        ("DELETE FROM autoscaling_decisions WHERE at < :before", "autoscaling_decisions"),
    ],
)
async def test_a_row_that_retention_keeps_is_missing(
    sqlite_engine: Engine, history: History, tampering: str, table: str
) -> None:
    log, before = MemoryLog(history.log), half_way(history)
    await pruned(sqlite_engine, log, before)

    with sqlite_engine.begin() as connection:
        connection.execute(text(tampering), {"before": before.isoformat(timespec="microseconds")})

    found = await differences(sqlite_engine, log)
    assert {each.table for each in found} == {table}
    assert all(each.stored is None for each in found)


async def test_an_old_row_that_a_rebuild_brought_back_is_compared(sqlite_engine: Engine, history: History) -> None:
    log, before = MemoryLog(history.log), half_way(history)
    runner = await pruned(sqlite_engine, log, before)
    await runner.rebuild()
    await runner.catch_up()
    assert await differences(sqlite_engine, log) == []

    with sqlite_engine.begin() as connection:
        connection.execute(
            text("UPDATE replicas SET target = 77 WHERE position = (SELECT min(position) FROM replicas)")
        )

    (difference,) = await differences(sqlite_engine, log)
    assert difference.stored is not None
    assert difference.stored["target"] == 77


async def test_what_a_rebuild_brought_back_goes_in_the_next_round(sqlite_engine: Engine, history: History) -> None:
    log, before = MemoryLog(history.log), half_way(history)
    runner = await pruned(sqlite_engine, log, before)
    kept = all_rows(sqlite_engine)
    await runner.rebuild()
    await runner.catch_up()
    assert all_rows(sqlite_engine) != kept

    await pruned(sqlite_engine, log, before)

    assert all_rows(sqlite_engine) == kept


async def test_a_horizon_never_goes_back(engine: Engine, history: History) -> None:
    """A longer retention keeps what is there, but brings nothing back."""
    log, before = MemoryLog(history.log), half_way(history)
    runner = await pruned(engine, log, before)
    await runner.rebuild()

    await pruned(engine, log, before - timedelta(minutes=5))

    assert set(horizons(engine).values()) == {before}


async def test_where_nothing_is_old_there_is_no_horizon(engine: Engine) -> None:
    await pruned(engine, log_of(created()), after(-1))

    assert horizons(engine) == {}


async def test_rows_and_horizon_go_together_or_not_at_all(sqlite_engine: Engine, history: History) -> None:
    log, before = MemoryLog(history.log), half_way(history)
    runner = await pruned(sqlite_engine, log, after(-1))
    everything = all_rows(sqlite_engine)
    with sqlite_engine.begin() as connection:
        connection.execute(text("CREATE TABLE view_horizons (view TEXT PRIMARY KEY, before TEXT CHECK (before < ''))"))

    runner = ProjectionRunner(sqlite_engine, VIEWS, log, pruner=Pruner(lambda: before))
    with pytest.raises(Exception, match="CHECK constraint failed"):
        await prune(runner)

    assert all_rows(sqlite_engine) == everything


async def test_who_does_not_fold_any_more_deletes_nothing(engine: Engine, history: History) -> None:
    """Another process has folded on meanwhile."""
    log = MemoryLog(history.log[:-10])
    runner = ProjectionRunner(engine, VIEWS, log, pruner=Pruner(lambda: half_way(history)))
    await runner.catch_up()
    log.events += history.log[-10:]
    await ProjectionRunner(engine, VIEWS, log).catch_up()
    everything = all_rows(engine)

    assert await runner.prune()

    assert all_rows(engine) == everything
    assert horizons(engine) == {}


async def test_a_runner_prunes_while_it_runs(sqlite_engine: Engine) -> None:
    """Also what it has just folded, and a route that is over stays over."""
    log = log_of(created(), scaled_out(1, 2), terminating(2), reported(RouteStatus.TERMINATED, 2, seconds=6))
    stop = asyncio.Event()
    pruner = Pruner(lambda: after(100), batch_rows=1)
    runner = ProjectionRunner(sqlite_engine, VIEWS, log, pruner=pruner, poll_interval=0.001)
    running = asyncio.create_task(runner.run(stop, asyncio.Event()))
    await read_often(log)
    log.append(reported(RouteStatus.TERMINATED, 2, seconds=200), reported(RouteStatus.HEALTHY, 1, seconds=201))
    await read_often(log)
    stop.set()
    await running

    rows = all_rows(sqlite_engine)
    assert [(row["status"], row["ended_at"]) for row in rows["routes"]] == [("healthy", None)]
    assert [row["position"] for row in rows["replicas"]] == [30, 60]
    assert await differences(sqlite_engine, log) == []


async def read_often(log: MemoryLog) -> None:
    """Wait until a runner at the end of the log has come to look for more so often that a round must be over."""
    for _ in range(20):
        await log.is_read_from(log.head)
