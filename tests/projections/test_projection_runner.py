import asyncio
from collections.abc import Sequence

import pytest
from sqlalchemy import Engine, text

from domain import events as e
from domain.recorded import LoggedEvent
from domain.routes import RouteStatus
from projections.catalogue import VIEWS
from projections.errors import ViewDamaged
from projections.runner import ProjectionRunner
from tests.histories import random_history
from tests.projection_support import (
    MemoryLog,
    after,
    all_rows,
    created,
    log_of,
    registered,
    reported,
    scaled_out,
)

LONG = 3600.0


def nothing(number: int) -> e.CommandHadNoEffect:
    return e.CommandHadNoEffect(at=after(number), command="create", reason="it is there")


async def test_events_that_change_nothing_move_the_position_all_the_same(engine: Engine) -> None:
    log = log_of(created(), nothing(1), nothing(2))

    await ProjectionRunner(engine, VIEWS, log).catch_up()

    again = ProjectionRunner(engine, VIEWS, log)
    assert await again.step() is False
    assert again.positions == {view.name: log.head for view in VIEWS}


async def test_a_runner_goes_on_where_another_one_stopped(engine: Engine) -> None:
    log = log_of(created(), registered(), scaled_out(1, 2), reported(RouteStatus.HEALTHY, 1))
    await ProjectionRunner(engine, VIEWS, log).catch_up(until=20)

    again = ProjectionRunner(engine, VIEWS, log)
    await again.step()

    assert log.reads.get_nowait() == 0
    assert log.reads.get_nowait() == 20
    assert again.positions["deployments"] == 40


async def test_folding_can_end_at_a_position_also_between_events(engine: Engine) -> None:
    log = log_of(created(), registered(), scaled_out(1, 2))
    runner = ProjectionRunner(engine, VIEWS, log, batch_size=2)

    await runner.catch_up(until=25)

    assert set(runner.positions.values()) == {25}
    assert [row["version"] for row in all_rows(engine)["deployments"]] == [2]


async def test_a_view_that_is_behind_stops_at_a_position_before_the_others(engine: Engine) -> None:
    log = log_of(created(), registered(), scaled_out(1))
    await ProjectionRunner(engine, VIEWS[1:], log).catch_up()

    runner = ProjectionRunner(engine, VIEWS, log)
    await runner.catch_up(until=20)

    assert (runner.positions["deployments"], runner.positions["rejected_records"]) == (20, 30)


async def test_a_view_that_is_behind_catches_up_and_goes_on_with_the_others(engine: Engine) -> None:
    history = random_history(1, steps=80)
    log = MemoryLog(history.log)
    await ProjectionRunner(engine, VIEWS[1:], log).catch_up(until=log.events[40].position)

    runner = ProjectionRunner(engine, VIEWS, log, batch_size=7)
    await runner.catch_up()
    caught_up = all_rows(engine)

    await runner.rebuild()
    await runner.catch_up()
    assert caught_up == all_rows(engine)
    assert set(runner.positions.values()) == {log.head}


async def test_views_that_are_ahead_are_not_held_up_by_one_that_is_behind(engine: Engine) -> None:
    log = log_of(created(), *map(nothing, range(20)))
    await ProjectionRunner(engine, VIEWS[1:], log).catch_up()
    log.append(nothing(21))

    runner = ProjectionRunner(engine, VIEWS, log, batch_size=5)
    await runner.step()

    assert (runner.positions["deployments"], runner.positions["rejected_records"]) == (50, log.head)


async def test_a_log_that_does_not_begin_with_a_creation_halts_the_view(engine: Engine) -> None:
    """Rebuilding does not help there, so it is not tried for ever."""
    with pytest.raises(ViewDamaged, match="there is no such row"):
        await ProjectionRunner(engine, VIEWS, log_of(registered())).catch_up()


async def test_an_event_that_the_log_does_not_understand_halts_the_runner(sqlite_engine: Engine) -> None:
    class BrokenLog(MemoryLog):
        def read_blocking(self, *, after: int, limit: int) -> Sequence[LoggedEvent]:
            raise NotImplementedError("deployment.from-the-future.v9")

    with pytest.raises(NotImplementedError, match=r"deployment\.from-the-future\.v9"):
        await ProjectionRunner(sqlite_engine, VIEWS, BrokenLog()).run(asyncio.Event(), asyncio.Event())


async def test_a_running_runner_folds_as_soon_as_it_is_woken(sqlite_engine: Engine) -> None:
    log, stop, wake = log_of(created()), asyncio.Event(), asyncio.Event()
    runner = ProjectionRunner(sqlite_engine, VIEWS, log, poll_interval=LONG)

    async with asyncio.TaskGroup() as group:
        group.create_task(runner.run(stop, wake))
        await log.is_read_from(0)
        position = log.append(registered())
        wake.set()
        await log.is_read_from(10)
        position = log.append(scaled_out(1))
        wake.set()
        await log.is_read_from(20)
        stop.set()

    assert position == 30
    assert runner.positions["deployments"] == position


async def test_a_runner_that_was_woken_rests_again(sqlite_engine: Engine) -> None:
    log, stop, wake = log_of(created()), asyncio.Event(), asyncio.Event()
    runner = ProjectionRunner(sqlite_engine, VIEWS, log, poll_interval=LONG)

    async with asyncio.TaskGroup() as group:
        group.create_task(runner.run(stop, wake))
        await log.is_read_from(0)
        wake.set()
        await log.is_read_from(10)
        for _ in range(20):
            await asyncio.sleep(0)
        assert log.reads.empty()
        stop.set()


async def test_a_running_runner_looks_for_events_also_when_nobody_wakes_it(sqlite_engine: Engine) -> None:
    """Fault 25: a wake-up that is lost costs one poll interval."""
    log, stop = log_of(created()), asyncio.Event()
    runner = ProjectionRunner(sqlite_engine, VIEWS, log, poll_interval=0.01)

    async with asyncio.TaskGroup() as group:
        group.create_task(runner.run(stop, asyncio.Event()))
        await log.is_read_from(10)
        await log.is_read_from(log.append(registered()))
        stop.set()


async def test_an_idle_runner_ends_at_once_when_it_is_stopped(sqlite_engine: Engine) -> None:
    log, stop = log_of(created()), asyncio.Event()

    async with asyncio.TaskGroup() as group:
        group.create_task(ProjectionRunner(sqlite_engine, VIEWS, log, poll_interval=LONG).run(stop, asyncio.Event()))
        await log.is_read_from(0)
        stop.set()


async def test_what_was_appended_right_before_a_runner_is_stopped_is_folded(sqlite_engine: Engine) -> None:
    """Or nobody would fold it until the next runner comes."""
    log, stop = log_of(created()), asyncio.Event()
    runner = ProjectionRunner(sqlite_engine, VIEWS, log, poll_interval=LONG)

    async with asyncio.TaskGroup() as group:
        group.create_task(runner.run(stop, asyncio.Event()))
        await log.is_read_from(0)
        position = log.append(registered())
        stop.set()

    assert runner.positions["deployments"] == position


async def test_a_batch_under_way_is_finished_when_the_runner_is_cancelled(sqlite_engine: Engine) -> None:
    """Its thread cannot be stopped, so it must not go on behind the back of whoever comes next."""
    log = MemoryLog(random_history(2, steps=200).log)
    running = asyncio.create_task(ProjectionRunner(sqlite_engine, VIEWS, log).catch_up())
    await log.is_read_from(0)
    await asyncio.sleep(0)

    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    with sqlite_engine.begin() as connection:
        (position,) = set(connection.scalars(text("SELECT position FROM view_positions")))
    assert position == log.head


async def test_views_are_asked_for_by_their_names(sqlite_engine: Engine) -> None:
    runner = ProjectionRunner(sqlite_engine, VIEWS, MemoryLog())

    with pytest.raises(ValueError, match="there is no view 'deployment'; the views are deployments, "):
        await runner.rebuild(["deployment"])
