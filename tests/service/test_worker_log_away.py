"""Fault 13: the database is away; reading pauses, readiness says so, and nothing is lost or skipped."""

import asyncio
from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid4

from pydantic import SecretStr

from adapters.kafka.connection import KafkaConnection
from adapters.kafka.consumer import RecordConsumer
from adapters.kafka.consumer_settings import ConsumerSettings
from adapters.kafka.topics import Topics
from domain.commands import SetReplicaCount
from domain.events import ReplicaCountSet
from service.kafka_access import KafkaAccess
from service.settings import DatabaseSettings, KafkaSettings, Settings
from tests.adapters.postgres_fault_proxy import PostgresFaultProxy
from tests.kafka_support import command_record, producing
from tests.running_worker import RunningWorker, creation, running_worker


async def until_it_asked(consumer: RecordConsumer) -> None:
    """Wait until the paused consumer has told the group that it is alive."""
    membership, asked = consumer._membership, asyncio.Event()
    assert membership is not None
    stay = membership._stay

    async def noted() -> None:
        await stay()
        asked.set()

    membership._stay = noted  # type: ignore[method-assign] # a look at how often it asks
    await asyncio.wait_for(asked.wait(), 20)
    membership._stay = stay  # type: ignore[method-assign] # as it was


async def until_counts(running: RunningWorker, deployment_id: UUID, number: int) -> list[int]:
    """Wait until the number of replicas was set so many times, and tell to what."""
    committed = asyncio.Event()
    running.worker.plane.decider.listen(lambda _: committed.set())
    while True:
        committed.clear()
        stream = await running.worker.parts.event_log.stream(deployment_id)
        counts = [e.recorded.event.replica_count for e in stream if isinstance(e.recorded.event, ReplicaCountSet)]
        if len(counts) >= number:
            return counts
        await committed.wait()


async def test_fault_13_a_database_that_stays_away_pauses_reading_and_nothing_is_lost(
    tmp_path: Path,
    postgres_database: str,
    kafka: KafkaConnection,
    topics: Topics,
    consumer_settings: ConsumerSettings,
) -> None:
    """Longer than a member may go without asking for records: its partitions stay its own all the same."""
    proxy = PostgresFaultProxy(postgres_database)
    access = KafkaAccess(connection=kafka, epoch="1", consumer=replace(consumer_settings, max_poll_interval=3.0))
    settings = Settings(
        data_dir=tmp_path,
        pause_after_seconds=0.5,
        kafka=KafkaSettings(topics=topics),
        database=DatabaseSettings(url=SecretStr(proxy.url)),
    )
    deployment_id = uuid4()
    records = [command_record(creation(deployment_id), id="create")]
    for count in range(1, 6):
        command = SetReplicaCount(deployment_id=deployment_id, replica_count=count)
        records.append(command_record(command, id=f"set-{count}"))
    async with running_worker(settings, access) as running, producing(kafka) as producer:
        await running.until_ready()
        await producer.send_and_wait(topics.commands, records[0].value, key=records[0].key)
        await running.until_metric('routekeeper_deployments{lifecycle="pending"} 1.0')
        held = running.worker.consumer.assignment

        proxy.go_down()
        for record in records[1:]:
            await producer.send_and_wait(topics.commands, record.value, key=record.key)
        text = await running.until_unready("kafka: reading is paused until commits succeed; 6 partitions kept")
        assert "event log: unavailable since " in text
        alive = await running.http.get("/livez")
        assert alive.status_code == 200
        await running.until_metric("routekeeper_consumption_paused 1.0")
        # So long that the client library would leave the group for a member that asks for nothing.
        for _ in range(4):
            await until_it_asked(running.worker.consumer)
        assert running.worker.consumer.assignment == held

        proxy.come_back()
        await running.until_ready()
        await running.until_metric("routekeeper_consumption_paused 0.0")
        await running.until_metric('routekeeper_projection_lag_events{view="deployments"} 0.0')
        counts = await until_counts(running, deployment_id, 4)
    proxy.close()

    assert counts == [2, 3, 4, 5]
