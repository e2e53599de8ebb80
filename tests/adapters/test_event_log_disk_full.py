"""Fault 23: the disk is full. Nothing is acknowledged that is not in the log, and work resumes when there is room."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from adapters.event_store.event_log import RecorderEventLog, open_sqlite_log
from handlers.ports import LogBatch, LogUnavailable
from tests.adapters.event_log_support import P0, event, move, outcome

#: Pages of 4 KiB; the empty tables take some thirty.
_A_LITTLE, _PLENTY = 60, 1_000_000


@pytest.fixture
def log(tmp_path: Path) -> Iterator[RecorderEventLog]:
    log = open_sqlite_log(tmp_path / "log.db")
    yield log
    log.close()


def leave_room(log: RecorderEventLog, pages: int) -> None:
    """SQLite itself says that the disk is full where a file would outgrow this."""
    datastore = log._recorder.datastore  # type: ignore[attr-defined] # the recorder on SQLite has one
    with datastore.get_connection(commit=True) as connection:
        connection.cursor().execute(f"PRAGMA max_page_count = {pages}")


async def test_fault_23_what_does_not_fit_is_not_acknowledged_and_fits_later(log: RecorderEventLog) -> None:
    stream = uuid4()

    def batch(number: int) -> LogBatch:
        return LogBatch(
            events=[event(stream, number, "x" * 2_000)],
            positions=[move(P0, number - 1 if number > 1 else None, number)],
            outcomes=[outcome(str(number))],
        )

    leave_room(log, _A_LITTLE)
    acknowledged = 0
    refusal = ""
    while not refusal:
        try:
            await log.append(batch(acknowledged + 1))
        except LogUnavailable as error:
            refusal = str(error)
        else:
            acknowledged += 1

    assert "full" in refusal
    assert acknowledged > 0
    assert await log.stream_version(stream) == acknowledged
    assert (await log.positions([P0]))[P0].next == acknowledged

    leave_room(log, _PLENTY)
    await log.append(batch(acknowledged + 1))
    assert [each.recorded.version for each in await log.stream(stream)] == list(range(1, acknowledged + 2))
