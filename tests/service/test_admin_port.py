"""What an operator sees of a running worker, over real sockets."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from adapters.kafka.connection import KafkaConnection
from adapters.kafka.consumer_settings import ConsumerSettings
from adapters.kafka.topics import Topics
from service.admin.port import AdminPort
from service.admin.server import AdminPortUnusable
from service.bootstrap import utc_now
from service.kafka_access import KafkaAccess
from service.settings import AdminSettings, KafkaSettings, Settings
from tests.kafka_support import command_record, producing
from tests.running_worker import RunningWorker, creation, free_port, running_worker


@pytest.fixture
def access(kafka: KafkaConnection, consumer_settings: ConsumerSettings) -> KafkaAccess:
    return KafkaAccess(connection=kafka, epoch="1", consumer=consumer_settings)


@pytest.fixture
async def running(tmp_path: Path, topics: Topics, access: KafkaAccess) -> AsyncIterator[RunningWorker]:
    settings = Settings(data_dir=tmp_path, kafka=KafkaSettings(topics=topics))
    async with running_worker(settings, access) as running:
        yield running


async def test_a_worker_is_alive_at_once_and_ready_when_it_has_its_partitions(running: RunningWorker) -> None:
    alive = await running.http.get("/livez")
    early = await running.http.get("/readyz")
    ready = await running.until_ready()
    as_json = await running.http.get("/readyz", headers={"accept": "application/json"})

    assert (alive.status_code, alive.text) == (200, "alive\n")
    assert early.status_code == 503
    assert early.text.startswith("not ready\n")
    assert ready == "ready\nevent log: ok\nkafka: 6 partitions\nviews: ok\npublisher: ok\ntree: ok\nretention: ok\n"
    assert as_json.json()["ready"] is True
    assert {"name": "views", "status": "ok", "words": "ok"} in as_json.json()["checks"]


async def test_what_was_done_is_counted_and_what_waits_is_measured(
    running: RunningWorker, kafka: KafkaConnection, topics: Topics
) -> None:
    await running.until_ready()
    record = command_record(creation(uuid4()))
    async with producing(kafka) as producer:
        await producer.send_and_wait(topics.commands, record.value, key=record.key)
        await producer.send_and_wait(topics.commands, b"no JSON", key=b"anybody")

    await running.until_metric('routekeeper_deployments{lifecycle="pending"} 1.0')
    await running.until_metric(f'routekeeper_records_total{{result="rejected",topic="{topics.commands}"}} 1.0')
    text = await running.until_metric('routekeeper_projection_lag_events{view="deployments"} 0.0')

    assert f'routekeeper_records_total{{result="accepted",topic="{topics.commands}"}} 1.0' in text
    rejected = f'routekeeper_records_rejected_total{{code="invalid-json",topic="{topics.commands}"}} 1.0'
    assert rejected in text
    await running.until_metric(f'routekeeper_consumer_lag_records{{partition="0",topic="{topics.routes}"}} 0.0')
    assert "routekeeper_ready 1.0" in text
    media_type = (await running.http.get("/metrics")).headers["content-type"]
    assert media_type == "text/plain; version=0.0.4; charset=utf-8"


async def test_a_proxy_that_is_left_alone_is_told_of_but_does_not_make_the_worker_unready(
    running: RunningWorker,
) -> None:
    calls = running.worker.plane.proxy_calls

    async def fails() -> None:
        raise ConnectionRefusedError("nobody there")

    for _ in range(calls.limits.failure_threshold):
        with pytest.raises(ConnectionRefusedError):
            await calls.run("proxy.example:10200", fails, timeout_seconds=1)
    text = await running.until_ready()
    metrics = (await running.http.get("/metrics")).text

    assert "proxy http://proxy.example:10200: circuit open, next try in 1" in text
    assert 'routekeeper_proxy_circuit_state{state="open",target="proxy.example:10200"} 1.0' in metrics
    assert 'routekeeper_proxy_call_seconds_count{outcome="failed",target="proxy.example:10200"} 5.0' in metrics


async def test_a_task_without_which_nothing_works_is_missed(running: RunningWorker) -> None:
    await running.until_ready()
    assert (await running.http.get("/livez")).status_code == 200

    listening = next(task for task in running.worker.parts.tasks if task.get_name() == "listening")
    listening.cancel()

    text = await running.until("/livez", lambda answer: answer.status_code == 503)
    assert text == "dead: these tasks have ended: listening\n"


async def test_a_port_that_somebody_else_has_is_refused_with_the_settings_name(tmp_path: Path) -> None:
    settings = AdminSettings(port=free_port())
    async with AdminPort(settings, clock=utc_now).open():
        with pytest.raises(AdminPortUnusable, match=r"ROUTEKEEPER_ADMIN__PORT \d+: cannot listen there: Address"):
            async with AdminPort(settings, clock=utc_now).open():
                pass


async def test_a_worker_that_waits_for_kafka_is_alive_and_not_ready() -> None:
    settings = AdminSettings(port=free_port())
    async with AdminPort(settings, clock=utc_now).open(), httpx.AsyncClient(trust_env=False) as http:
        base = f"http://127.0.0.1:{settings.port}"

        assert (await http.get(f"{base}/livez")).status_code == 200
        answer = await http.get(f"{base}/readyz")
        assert answer.status_code == 503
        assert "worker: starting" in answer.text
