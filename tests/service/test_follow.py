"""What follows the log runs in a process of its own, and workers that are told so leave it alone."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from uuid import uuid4

import httpx
import psycopg
import pytest
from pydantic import SecretStr

from adapters.kafka.connection import KafkaConnection
from adapters.kafka.consumer_settings import ConsumerSettings
from adapters.kafka.topics import Topics
from projections.deployments import resolve_deployment
from service.kafka_access import KafkaAccess
from service.settings import DatabaseSettings, KafkaSettings, Settings
from service.stores import stores_of
from tests.chronicle import Chronicle
from tests.cli_support import runner_for
from tests.kafka_support import command_record, producing, read_all
from tests.running_worker import creation, free_port, running_follower, running_worker

OF_DECIDING = "routekeeper_consumption_paused"
OF_FOLLOWING = ("routekeeper_projection_lag_seconds", "routekeeper_publisher_lag_seconds", "routekeeper_deployments")


@pytest.fixture
def access(kafka: KafkaConnection, consumer_settings: ConsumerSettings) -> KafkaAccess:
    return KafkaAccess(connection=kafka, epoch="1", consumer=consumer_settings)


def has_views(database_url: str) -> bool:
    with psycopg.connect(database_url) as connection:
        schemas = connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = 'routekeeper_views'")
        return schemas.fetchone() is not None


async def test_one_process_decides_and_another_keeps_the_views_and_publishes(
    tmp_path: Path, postgres_database: str, topics: Topics, access: KafkaAccess
) -> None:
    """Each says how it is with its own part of the work, and nothing of the other's."""
    database = DatabaseSettings(url=SecretStr(postgres_database))
    settings = Settings(data_dir=tmp_path, database=database, kafka=KafkaSettings(topics=topics), follow_log=False)
    record = command_record(creation(uuid4()))

    async with running_worker(settings, access) as worker:
        worker_says = await worker.until_ready()
        assert not has_views(postgres_database)
        async with running_follower(settings, access) as follower:
            follower_says = await follower.until_ready()
            async with producing(access.connection) as producer:
                await producer.send_and_wait(topics.commands, record.value, key=record.key)

            of_follower = await follower.until_metric('routekeeper_deployments{lifecycle="pending"} 1.0')
            [published] = await read_all(access.connection, topics.events, 1)
            of_worker = (await worker.http.get("/metrics")).text

    assert published.key == record.key
    assert worker_says == "ready\nevent log: ok\nkafka: 6 partitions\n"
    assert follower_says == "ready\nevent log: ok\nviews: ok\npublisher: ok\ntree: ok\nretention: ok\n"
    assert OF_DECIDING in of_worker
    assert [name for name in OF_FOLLOWING if name in of_worker] == []
    assert OF_DECIDING not in of_follower
    assert [name for name in OF_FOLLOWING if name not in of_follower] == []


async def test_sigterm_ends_a_follower_at_the_end_of_the_log_with_exit_code_0(
    tmp_path: Path, kafka: KafkaConnection, topics: Topics
) -> None:
    """Also on SQLite, which tells nobody of what was appended meanwhile, and after a signal that asks to reload."""
    first, second = uuid4(), uuid4()
    port = free_port()
    with closing(Chronicle(tmp_path)) as chronicle:
        await asyncio.to_thread(chronicle.ask, creation(first))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "service", "follow"),
            env={**os.environ, **environment(tmp_path, kafka, topics, port)},
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            await until_published(f"http://127.0.0.1:{port}")
            process.send_signal(signal.SIGHUP)
            await asyncio.to_thread(chronicle.ask, creation(second))
        finally:
            process.terminate()
            _, said = await process.communicate()

    assert process.returncode == 0, said.decode()
    assert "Follower stopped" in said.decode()
    published = await read_all(kafka, topics.events, 2)
    assert {record.key for record in published} == {str(key).encode() for key in (first, second)}
    views = stores_of(Settings(data_dir=tmp_path)).read_views()
    with views.connect() as connection:
        assert resolve_deployment(connection, str(second)).id == second
    views.dispose()


def test_with_an_embedded_broker_there_is_nothing_for_a_follower_to_do(tmp_path: Path) -> None:
    result = runner_for(tmp_path)("follow")

    assert result.exit_code == 1
    assert result.stderr.startswith("error: ROUTEKEEPER_KAFKA__BOOTSTRAP_SERVERS is unset: ")


def test_with_an_embedded_broker_a_worker_cannot_leave_the_log_to_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commands would be handled, and nothing would ever be seen of it."""
    monkeypatch.setenv("ROUTEKEEPER_FOLLOW_LOG", "false")

    result = runner_for(tmp_path)("worker")

    assert result.exit_code == 1
    assert result.stderr.startswith("error: ROUTEKEEPER_FOLLOW_LOG is false, and ")


def environment(data_dir: Path, kafka: KafkaConnection, topics: Topics, port: int) -> Mapping[str, str]:
    """The settings of a follower that finds nothing by looking again and again."""
    return {
        "ROUTEKEEPER_DATA_DIR": str(data_dir),
        "ROUTEKEEPER_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "ROUTEKEEPER_KAFKA__IDEMPOTENT_PRODUCERS": str(kafka.has_idempotent_producers),
        **{f"ROUTEKEEPER_KAFKA__TOPICS__{name.upper()}": str(value) for name, value in asdict(topics).items()},
        "ROUTEKEEPER_PROJECTIONS__POLL_SECONDS": "600",
        "ROUTEKEEPER_PUBLISHER__POLL_SECONDS": "600",
        "ROUTEKEEPER_ADMIN__PORT": str(port),
        "ROUTEKEEPER_ADMIN__REFRESH_SECONDS": "0.1",
    }


async def until_published(base: str) -> None:
    """Wait until a follower says that it has come to the log's end."""
    caught_up = ("routekeeper_publisher_lag_events 0.0", "routekeeper_event_log_position 1.0")
    async with asyncio.timeout(30), httpx.AsyncClient(base_url=base, trust_env=False) as http:
        text = ""
        while not all(line in text for line in caught_up):
            await asyncio.sleep(0.05)
            try:
                text = (await http.get("/metrics")).text
            except httpx.ConnectError:
                continue
