import asyncio
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from projections.catalogue import VIEWS
from projections.database import open_database
from projections.runner import ProjectionRunner
from tests.histories import HISTORIES, History, random_history
from tests.projection_support import MemoryLog, all_rows


async def fold_whole(engine: Engine, history: History) -> None:
    """Fold everything in one batch."""
    await ProjectionRunner(engine, VIEWS, MemoryLog(history.log), batch_size=100_000).catch_up()


async def fold_in_pieces(engine: Engine, history: History, random: Random) -> None:
    """Fold in batches of any size, by runners that come and go and remember next to nothing."""
    log = MemoryLog()
    rest = list(history.log)
    while rest:
        arrived = random.randrange(1, 12)
        log.events += rest[:arrived]
        rest = rest[arrived:]
        batch_size, cached_rows = random.randrange(1, 7), random.choice([0, 1, 5, 1000])
        runner = ProjectionRunner(engine, VIEWS, log, batch_size=batch_size, cached_rows=cached_rows)
        if random.random() < 0.3:
            await runner.step()
        else:
            await runner.catch_up()
    await ProjectionRunner(engine, VIEWS, log).catch_up()


@given(history=HISTORIES, seed=st.integers(0, 10_000))
@settings(max_examples=25)
def test_rows_are_the_same_wherever_batches_begin_and_end(history: History, seed: int) -> None:
    whole, pieces = open_database("sqlite://"), open_database("sqlite://")

    asyncio.run(fold_whole(whole, history))
    asyncio.run(fold_in_pieces(pieces, history, Random(seed)))

    assert all_rows(pieces) == all_rows(whole)


async def test_postgresql_and_sqlite_hold_the_same_rows(engine: Engine) -> None:
    for seed in range(2):
        history = random_history(seed, steps=150)
        whole = open_database("sqlite://")
        runner = ProjectionRunner(engine, VIEWS, MemoryLog(history.log))
        await runner.rebuild()

        await fold_whole(whole, history)
        await fold_in_pieces(engine, history, Random(seed))

        assert all_rows(engine) == all_rows(whole)
