import pytest
from sqlalchemy import Engine

from projections.catalogue import VIEWS
from projections.database import open_database
from projections.errors import PositionBehind
from projections.replay import replay
from projections.runner import ProjectionRunner
from tests.histories import random_history
from tests.projection_support import MemoryLog, all_rows


async def test_a_replay_gives_the_rows_that_the_live_views_held_then(engine: Engine) -> None:
    log = MemoryLog(random_history(21, steps=80).log)
    live = ProjectionRunner(engine, VIEWS, log)

    for moment in log.events[9::15]:
        await live.catch_up(until=moment.position)
        scratch = open_database("sqlite://")
        await replay(log, VIEWS, until=moment.position, engine=scratch)
        assert all_rows(scratch) == all_rows(engine)


async def test_a_replay_goes_on_from_where_an_earlier_one_ended(sqlite_engine: Engine) -> None:
    log = MemoryLog(random_history(22, steps=80).log)
    await replay(log, VIEWS, until=30, engine=sqlite_engine)
    log.reads = type(log.reads)()

    await replay(log, VIEWS, until=60, engine=sqlite_engine)

    assert log.reads.get_nowait() == 30
    scratch = open_database("sqlite://")
    await replay(log, VIEWS, until=60, engine=scratch)
    assert all_rows(sqlite_engine) == all_rows(scratch)


async def test_a_replay_does_not_go_back(sqlite_engine: Engine) -> None:
    log = MemoryLog(random_history(23, steps=40).log)
    await replay(log, VIEWS, until=20, engine=sqlite_engine)

    with pytest.raises(PositionBehind, match=r"at position 20, past 19"):
        await replay(log, VIEWS, until=19, engine=sqlite_engine)


async def test_a_replay_past_the_end_of_the_log_gives_what_there_is(sqlite_engine: Engine) -> None:
    log = MemoryLog(random_history(24, steps=20).log)

    await replay(log, VIEWS, until=10**9, engine=sqlite_engine)

    scratch = open_database("sqlite://")
    await ProjectionRunner(scratch, VIEWS, log).catch_up()
    assert all_rows(sqlite_engine) == all_rows(scratch)
