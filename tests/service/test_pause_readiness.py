"""What readiness and metrics say of pauses, and of pauses that this version does not understand."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from adapters.event_store.event_log import open_sqlite_log
from adapters.kafka.connection import KafkaConnection
from adapters.kafka.consumer_settings import ConsumerSettings
from adapters.kafka.topics import Topics
from domain.pauses import PAUSES_ID, EffectsPaused, EffectsResumed, Everything, PauseEvent
from domain.recorded import OperationCause, RecordedEvent
from handlers.ports import LogBatch
from service.kafka_access import KafkaAccess
from service.settings import KafkaSettings, Settings
from tests.future_events import FUTURE_TYPE, append_from_the_future
from tests.running_worker import RunningWorker, running_worker


@pytest.fixture
def access(kafka: KafkaConnection, consumer_settings: ConsumerSettings) -> KafkaAccess:
    return KafkaAccess(connection=kafka, epoch="1", consumer=consumer_settings)


@pytest.fixture
def settings(tmp_path: Path, topics: Topics) -> Settings:
    return Settings(data_dir=tmp_path, kafka=KafkaSettings(topics=topics))


@pytest.fixture
async def running(settings: Settings, access: KafkaAccess) -> AsyncIterator[RunningWorker]:
    async with running_worker(settings, access) as running:
        yield running


async def happens(running: RunningWorker, version: int, kind: type[PauseEvent]) -> None:
    event = kind(at=datetime.now(UTC), scope=Everything(), reason="", actor="")
    recorded = RecordedEvent(PAUSES_ID, version, OperationCause(operation="test"), event)
    await running.worker.parts.event_log.append(LogBatch(events=[recorded]))


async def test_a_worker_under_a_pause_is_ready_and_says_what_stands_and_who_waits(running: RunningWorker) -> None:
    await running.until_ready()
    await happens(running, 1, EffectsPaused)

    said = "pauses: effects are paused: everything; 0 deployments wait\n"
    text = await running.until("/readyz", lambda answer: said in answer.text)
    assert text.startswith("ready\n")
    await running.until_metric("routekeeper_paused_deployments 0.0")

    await happens(running, 2, EffectsResumed)
    await running.until("/readyz", lambda answer: "pauses" not in answer.text)


async def test_a_pause_that_is_not_understood_makes_a_worker_unready_and_ends_nothing(running: RunningWorker) -> None:
    await running.until_ready()
    append_from_the_future(running.worker.parts.event_log, PAUSES_ID, 1)

    text = await running.until_unready("pauses: all effects are held back")

    assert FUTURE_TYPE in next(line for line in text.splitlines() if line.startswith("pauses:"))
    await running.until_metric('routekeeper_halted{what="pauses"} 1.0')
    assert (await running.http.get("/livez")).status_code == 200


async def test_it_does_not_keep_a_worker_from_starting_either(settings: Settings, access: KafkaAccess) -> None:
    log = open_sqlite_log(settings.log_file)
    append_from_the_future(log, PAUSES_ID, 1)
    log.close()

    async with running_worker(settings, access) as running:
        await running.until_unready("pauses: all effects are held back")
        assert (await running.http.get("/livez")).status_code == 200
