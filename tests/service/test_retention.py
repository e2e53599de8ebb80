"""What is kept for a time only goes when that is over, and the rest stays."""

import asyncio
import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import uuid4

import pytest

from adapters.event_store.event_log import RecorderEventLog, open_sqlite_log
from handlers.ports import LogBatch, Retained
from service.retention import RetentionSettings, keep_pruning
from service.settings import SettingsInvalid, load_settings
from tests.adapters.event_log_scaling_support import evaluations, kept, record, report
from tests.adapters.event_log_support import AT

NOW = AT + timedelta(days=60)
SETTINGS = RetentionSettings(batch_rows=2)


@pytest.fixture
def log() -> Iterator[RecorderEventLog]:
    log = open_sqlite_log(":memory:")
    yield log
    log.close()


def ago(**time: float) -> datetime:
    return NOW - timedelta(**time)


class StopAfterRounds:
    """A clock that tells the time once a round, and ends the work in the last one."""

    def __init__(self, rounds: int) -> None:
        self.rounds = rounds
        self.stop = asyncio.Event()

    def __call__(self) -> datetime:
        self.rounds -= 1
        if self.rounds == 0:
            self.stop.set()
        return NOW


async def prune_once(log: RecorderEventLog, settings: RetentionSettings = SETTINGS) -> None:
    """One round and the beginning of the next, in which nothing is done any more."""
    clock = StopAfterRounds(2)
    await keep_pruning(log, settings, clock, clock.stop)


async def test_each_kind_goes_when_its_own_time_is_over(
    log: RecorderEventLog, caplog: pytest.LogCaptureFixture
) -> None:
    """Also when there is more of it than one transaction deletes."""
    deployment = uuid4()
    reports = [report(deployment, ago(days=days)) for days in (20, 19, 18, 17, 16, 7.01, 6.99, 0)]
    records = [record(ago(days=days)) for days in (40, 30.01, 29.99, 0)]
    await log.append(LogBatch(samples=reports, evaluations=evaluations(deployment, *records)))

    with caplog.at_level(logging.INFO, logger="service.retention"):
        await prune_once(log, RetentionSettings(batch_rows=2, interval_seconds=0.001))

    assert await kept(log, deployment) == (reports[6:], records[2:])
    assert await log.horizons() == {Retained.SAMPLES: ago(days=7), Retained.EVALUATIONS: ago(days=30)}
    assert caplog.messages == [
        "Deleted 6 rows of metric_samples from before 2026-04-23T12:00:00+00:00",
        "Deleted 2 rows of scaling_evaluations from before 2026-03-31T12:00:00+00:00",
    ]


async def test_where_nothing_is_old_nothing_is_said(log: RecorderEventLog, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="service.retention"):
        await prune_once(log, RetentionSettings(interval_seconds=0.001))

    assert caplog.messages == []


async def test_who_is_told_to_stop_does_not_wait_for_the_next_round(log: RecorderEventLog) -> None:
    stop = asyncio.Event()
    pruning = asyncio.create_task(keep_pruning(log, SETTINGS, lambda: NOW, stop))
    await asyncio.sleep(0)

    stop.set()

    await pruning


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ROUTEKEEPER_RETENTION__EVALUATIONS_SECONDS", "7199"),
        ("ROUTEKEEPER_RETENTION__SAMPLES_SECONDS", "0"),
        ("ROUTEKEEPER_RETENTION__VIEWS_SECONDS", "86399"),
        ("ROUTEKEEPER_RETENTION__BATCH_ROWS", "0"),
    ],
)
def test_a_retention_that_rules_cannot_live_with_is_refused(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)

    with pytest.raises(SettingsInvalid, match=variable):
        load_settings()
