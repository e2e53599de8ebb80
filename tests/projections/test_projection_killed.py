import subprocess
import sys
from pathlib import Path

from sqlalchemy import Engine

from projections.catalogue import VIEWS
from projections.database import open_database
from projections.placement import find_view_positions
from projections.replay import replay
from projections.runner import ProjectionRunner
from tests.projection_support import MemoryLog, all_rows
from tests.projections.fold_until_killed import long_history
from tests.source_tree import ROOT


def fold_and_kill(url: str, *, after_batches: int) -> None:
    """Let another process fold, and kill it in the middle of whatever it does by then."""
    command = [sys.executable, "-m", "tests.projections.fold_until_killed", url]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(after_batches):
            assert process.stdout.readline()
        process.kill()


def position_of(engine: Engine) -> int:
    with engine.connect() as connection:
        (position,) = {row.position for row in find_view_positions(connection)}
    return position


async def test_a_killed_process_leaves_the_rows_of_the_position_that_it_left(tmp_path: Path) -> None:
    """Fault 20: rows and position commit together or not at all."""
    url = f"sqlite:///{tmp_path}/views.db"
    engine, scratch = open_database(url), open_database("sqlite://")
    log = MemoryLog(long_history().log)

    for after_batches in (3, 11):
        fold_and_kill(url, after_batches=after_batches)
        await replay(log, VIEWS, until=position_of(engine), engine=scratch)
        assert all_rows(engine) == all_rows(scratch)

    await ProjectionRunner(engine, VIEWS, log).catch_up()
    await replay(log, VIEWS, until=log.head, engine=scratch)
    assert all_rows(engine) == all_rows(scratch)
