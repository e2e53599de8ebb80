"""Catching up never takes an event that is not understood for the end of the log."""

from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import Engine

from adapters.event_store.event_log import open_sqlite_log
from handlers.ports import LogBatch, UnknownEventType
from projections.catalogue import VIEWS
from projections.runner import ProjectionRunner
from tests.adapters.event_log_reading_contract import created
from tests.future_events import append_from_the_future


async def test_what_comes_before_it_is_folded_and_then_it_is_raised(sqlite_engine: Engine, tmp_path: Path) -> None:
    log, deployment_id = open_sqlite_log(tmp_path / "events.db"), uuid4()
    [before] = await log.append(LogBatch(events=[created(deployment_id)]))
    position = append_from_the_future(log, deployment_id, 2)
    await log.append(LogBatch(events=[created(uuid4())]))
    runner = ProjectionRunner(sqlite_engine, VIEWS, log)

    with pytest.raises(UnknownEventType, match=f"at position {position}"):
        await runner.catch_up()

    assert set(runner.positions.values()) == {before}
    log.close()
