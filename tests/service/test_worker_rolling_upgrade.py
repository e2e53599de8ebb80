"""Rolling upgrade: what a newer version wrote halts whoever does not understand it, in words, and nobody else."""

from pathlib import Path
from uuid import UUID, uuid4

import pytest

from adapters.kafka.connection import KafkaConnection
from adapters.kafka.consumer_settings import ConsumerSettings
from adapters.kafka.partitioner import partition_of
from adapters.kafka.topics import Topics
from domain.commands import SetReplicaCount
from handlers.records import PartitionId
from service.kafka_access import KafkaAccess
from service.settings import KafkaSettings, Settings
from tests.future_events import FUTURE_TYPE, append_from_the_future
from tests.kafka_support import command_record, producing
from tests.running_worker import creation, running_worker


def deployment_in(partition: int) -> UUID:
    """The id of a deployment whose records are in ``partition`` of two."""
    return next(key for key in iter(uuid4, None) if partition_of(key, 2) == partition)


@pytest.fixture
def access(kafka: KafkaConnection, consumer_settings: ConsumerSettings) -> KafkaAccess:
    return KafkaAccess(connection=kafka, epoch="1", consumer=consumer_settings)


async def test_an_older_worker_halts_at_what_it_does_not_understand_and_goes_on_with_the_rest(
    tmp_path: Path, kafka: KafkaConnection, topics: Topics, access: KafkaAccess
) -> None:
    settings = Settings(data_dir=tmp_path, kafka=KafkaSettings(topics=topics))
    upgraded, neighbour = deployment_in(0), deployment_in(1)
    async with running_worker(settings, access) as running, producing(kafka) as producer:

        async def send(record_id: str, command: SetReplicaCount) -> None:
            record = command_record(command, id=record_id)
            partition = partition_of(command.deployment_id, 2)
            await producer.send_and_wait(topics.commands, record.value, key=record.key, partition=partition)

        await running.until_ready()
        for deployment_id in (upgraded, neighbour):
            record = command_record(creation(deployment_id), id=str(deployment_id))
            partition = partition_of(deployment_id, 2)
            await producer.send_and_wait(topics.commands, record.value, key=record.key, partition=partition)
        await running.until_metric('routekeeper_deployments{lifecycle="pending"} 2.0')
        event_log = running.worker.parts.event_log
        version = await event_log.stream_version(upgraded)

        position = append_from_the_future(event_log, upgraded, version + 1)
        await send("a", SetReplicaCount(deployment_id=upgraded, replica_count=3))
        text = await running.until_unready(f"partition {topics.commands}/0: halted: unknown event type")
        text = await running.until_unready(f"at position {position}")
        await send("b", SetReplicaCount(deployment_id=neighbour, replica_count=4))
        await running.until_metric(f'routekeeper_records_total{{result="accepted",topic="{topics.commands}"}} 3.0')

        text = (await running.http.get("/readyz")).text
        assert f"views: halted: unknown event type '{FUTURE_TYPE}'" in text
        assert f"publisher: halted: unknown event type '{FUTURE_TYPE}'" in text
        assert f"deployment {upgraded}: halted:" in text
        assert (await running.http.get("/livez")).text == "alive\n"
        places = await event_log.positions([PartitionId(topics.commands, "1", number) for number in range(2)])
        assert [places[PartitionId(topics.commands, "1", number)].next for number in range(2)] == [1, 2]
        assert await event_log.stream_version(upgraded) == version + 1
        metrics = (await running.http.get("/metrics")).text
        assert 'routekeeper_halted{what="follower"} 2.0' in metrics
        assert 'routekeeper_halted{what="partition"} 1.0' in metrics


async def test_a_worker_that_is_started_on_such_a_log_says_so_and_does_not_end(
    tmp_path: Path, topics: Topics, access: KafkaAccess
) -> None:
    settings = Settings(data_dir=tmp_path, kafka=KafkaSettings(topics=topics))
    async with running_worker(settings, access) as first:
        append_from_the_future(first.worker.parts.event_log, uuid4(), 1)

    async with running_worker(settings, access) as again:
        text = await again.until_unready("views: halted: unknown event type")
        assert "at position 1" in text
        assert (await again.http.get("/livez")).status_code == 200
