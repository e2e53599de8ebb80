import os
from pathlib import Path
from uuid import uuid4

import pytest

from projections.catalogue import VIEWS
from projections.checkpoints import CheckpointLimits
from projections.database import open_database
from projections.past import fold_past, fold_streams
from projections.replay import replay
from tests.histories import random_history
from tests.projection_support import AllRows, MemoryLog, all_rows

LIMITS = CheckpointLimits(spacing=100, most=5)


@pytest.fixture
def log() -> MemoryLog:
    """A long one: some 800 events."""
    return MemoryLog(random_history(41, steps=1500).log)


async def rows_from_zero(log: MemoryLog, until: int) -> AllRows:
    scratch = open_database("sqlite://")
    await replay(log, VIEWS, until=until, engine=scratch)
    return all_rows(scratch)


async def rows_at(log: MemoryLog, until: int, folder: Path, limits: CheckpointLimits = LIMITS) -> AllRows:
    """Ask about a position, with checkpoints in ``folder / "cache"``; ``log.reads`` then tells from where on."""
    scratch = folder / f"{uuid4()}.db"
    log.reads = type(log.reads)()
    engine = await fold_past(log, VIEWS, until=until, scratch=scratch, cache=folder / "cache", limits=limits)
    try:
        return all_rows(engine)
    finally:
        engine.dispose()


def reads(log: MemoryLog) -> list[int]:
    found = []
    while not log.reads.empty():
        found.append(log.reads.get_nowait())
    return found


def checkpoints(folder: Path) -> list[Path]:
    return sorted((folder / "cache").glob("*/*/*.db"), key=lambda file: int(file.name.partition("-")[0]))


async def test_every_moment_is_the_same_from_checkpoints_as_from_zero(log: MemoryLog, tmp_path: Path) -> None:
    for logged in [*log.events[::-97], *log.events[40::61]]:
        assert await rows_at(log, logged.position, tmp_path) == await rows_from_zero(log, logged.position)


async def test_a_question_about_the_same_period_does_not_begin_at_zero(log: MemoryLog, tmp_path: Path) -> None:
    await rows_at(log, log.head, tmp_path)

    await rows_at(log, log.head - 10, tmp_path)

    # The first read is for the log's identity.
    assert reads(log)[0] == 0
    log.reads = type(log.reads)()
    await rows_at(log, log.head - 5, tmp_path)
    assert min(reads(log)[1:]) > log.head - 2 * LIMITS.spacing


async def test_checkpoints_stay_within_their_limits_and_spread_over_the_log(log: MemoryLog, tmp_path: Path) -> None:
    await rows_at(log, log.head, tmp_path)

    positions = [int(file.name.partition("-")[0]) for file in checkpoints(tmp_path)]
    assert len(positions) == LIMITS.most
    assert positions[0] < log.head / 2
    assert positions[-1] > log.head - 2 * LIMITS.spacing
    size = checkpoints(tmp_path)[0].stat().st_size
    checkpoints(tmp_path)[-1].unlink()
    await rows_at(log, log.head, tmp_path, CheckpointLimits(spacing=100, most_bytes=3 * size))
    assert sum(file.stat().st_size for file in checkpoints(tmp_path)) <= 3 * size


async def test_a_damaged_checkpoint_is_thrown_away(log: MemoryLog, tmp_path: Path) -> None:
    await rows_at(log, log.head, tmp_path)
    last = checkpoints(tmp_path)[-1]
    content = last.read_bytes()
    last.write_bytes(content[:5000] + bytes(100) + content[5100:])

    assert await rows_at(log, log.head, tmp_path) == await rows_from_zero(log, log.head)

    assert not last.exists() or last.read_bytes() == content


async def test_a_log_that_went_on_differently_does_not_use_the_checkpoints_of_the_other(
    log: MemoryLog, tmp_path: Path
) -> None:
    await rows_at(log, log.head, tmp_path)
    restored = MemoryLog(log.events[:300])
    other = random_history(42, steps=1500).log
    same = {logged.recorded.stream_id for logged in restored.events}
    shift = restored.head
    restored.events += [
        type(logged)(logged.position + shift, logged.recorded)
        for logged in other
        if logged.recorded.stream_id not in same
    ]

    for position in (restored.head, restored.events[320].position if len(restored.events) > 320 else restored.head):
        assert await rows_at(restored, position, tmp_path) == await rows_from_zero(restored, position)


async def test_without_a_place_for_checkpoints_the_answer_is_the_same(log: MemoryLog, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where a folder should be")

    assert await rows_at(log, log.head, tmp_path) == await rows_from_zero(log, log.head)


async def test_what_a_process_left_unfinished_is_removed_after_a_while(log: MemoryLog, tmp_path: Path) -> None:
    await rows_at(log, log.head, tmp_path)
    abandoned = checkpoints(tmp_path)[0].with_name("draft-abandoned")
    abandoned.touch()
    os.utime(abandoned, (0, 0))
    checkpoints(tmp_path)[-1].unlink()

    await rows_at(log, log.head, tmp_path)

    assert not abandoned.exists()


async def test_the_streams_of_a_deployment_give_its_rows_as_the_whole_log_does(log: MemoryLog) -> None:
    for until in (log.head // 3, log.head):
        whole = await rows_from_zero(log, until)
        for deployment in {logged.recorded.stream_id for logged in log.events}:
            stream = [logged for logged in log.events if logged.recorded.stream_id == deployment]
            folded = all_rows(await fold_streams([stream], VIEWS, until=until))
            for name, rows in folded.items():
                if name == "rejected_records":
                    continue
                key = "id" if name == "deployments" else "deployment_id"
                assert rows == [row for row in whole[name] if row[key] == str(deployment)]
