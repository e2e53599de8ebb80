"""Records that sit in other partitions than murmur2 says, and topics that get more partitions: nothing is lost."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid4
from zlib import crc32

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import NewPartitions
from aiokafka.errors import IncompatibleBrokerVersion
from prometheus_client.parser import text_string_to_metric_families

from adapters.kafka.connection import KafkaConnection
from adapters.kafka.consumer_settings import ConsumerSettings
from adapters.kafka.encoding import EncodedRecord
from adapters.kafka.partitioner import partition_of
from adapters.kafka.topics import Topics, administration
from domain import commands as c
from domain.deployment import Deployment
from domain.operations import Operation
from domain.revision import Revision
from handlers.commit import Commit
from service.admin.port import AdminPort
from service.bootstrap import utc_now
from service.kafka_access import KafkaAccess
from service.settings import Settings
from service.worker_life import Worker
from service.worker_parts import open_worker
from tests.kafka_support import command_record, producing

DEPLOYMENTS = 12


class Fleet:
    """Workers of one process on one log, and what has become true through any of them."""

    def __init__(self, settings: Settings, kafka: KafkaAccess) -> None:
        self.settings = settings
        self.kafka = kafka
        self.admin = AdminPort(settings.admin, clock=utc_now)
        self.workers: list[Worker] = []
        self.states: dict[UUID, Deployment] = {}
        self._news = asyncio.Event()

    @asynccontextmanager
    async def of(self, count: int, partitions: int) -> AsyncIterator[Sequence[Worker]]:
        """So many workers that run, and that are stopped cleanly at the end."""
        async with AsyncExitStack() as stack:
            stop = asyncio.Event()
            self.workers = [
                await stack.enter_async_context(open_worker(self.settings, self.kafka, partitions, self.admin))
                for _ in range(count)
            ]
            for worker in self.workers:
                worker.plane.decider.listen(self._note)
            running = [asyncio.create_task(worker.run(stop)) for worker in self.workers]
            try:
                yield self.workers
            finally:
                stop.set()
                await asyncio.gather(*running)

    def counted_as_foreign(self, topic: str) -> float:
        """What the metrics say of records in partitions that their keys do not belong to (count)."""
        text = self.admin.figures.exposition()[0].decode()
        samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
        name = "routekeeper_records_in_foreign_partitions_total"
        return sum(each.value for each in samples if each.name == name and each.labels["topic"] == topic)

    def _note(self, commit: Commit) -> None:
        # Of two workers' commits the one that is heard of later need not be the later one.
        for state in commit.states:
            known = self.states.get(state.id)
            if known is None or known.version < state.version:
                self.states[state.id] = state
        self._news.set()

    async def until(self, reached: Callable[[], bool]) -> None:
        """Wait, commit by commit, until this holds."""
        while not reached():
            self._news.clear()
            await self._news.wait()

    async def until_owned(self, count: int) -> None:
        """Wait until the workers together own so many partitions, no one of them twice, by the same count."""

        def is_so() -> bool:
            owned = [number for worker in self.workers for number in worker.plane.ownership.partitions]
            counts = {worker.plane.ownership.count for worker in self.workers}
            return sorted(owned) == list(range(count)) and counts == {count}

        while not is_so():  # noqa: ASYNC110 - the group's assignment tells nobody but the workers
            await asyncio.sleep(0.05)


@pytest.fixture
def fleet(kafka: KafkaConnection, topics: Topics, consumer_settings: ConsumerSettings, tmp_path: Path) -> Fleet:
    settings = Settings(data_dir=tmp_path, stop_grace_seconds=5.0)
    kafka_settings = replace(settings.kafka, topics=topics)
    consumer = replace(consumer_settings, metadata_max_age=0.3)
    access = KafkaAccess(connection=kafka, epoch="one", consumer=consumer)
    return Fleet(settings.model_copy(update={"kafka": kafka_settings}), access)


def creation(deployment_id: UUID) -> EncodedRecord:
    command = c.CreateDeployment(
        deployment_id=deployment_id,
        name="foreign",
        resource_group="nobody's",
        domain="test",
        project=UUID(int=1),
        owner=UUID(int=2),
        target_revision=Revision(revision_id=UUID(int=3), image="image", model="model"),
    )
    return command_record(command, id=f"create-{deployment_id}")


def counting(deployment_id: UUID, count: int) -> EncodedRecord:
    command = c.SetReplicaCount(deployment_id=deployment_id, replica_count=count)
    return command_record(command, id=f"{deployment_id}-{count}")


def by_crc32(deployment_id: UUID, count: int) -> int:
    """Where librdkafka puts a record by default (``consistent_random``)."""
    return crc32(str(deployment_id).encode()) % count


async def send(producer: AIOKafkaProducer, topic: str, record: EncodedRecord, partition: int) -> None:
    await producer.send_and_wait(topic, record.value, key=record.key, partition=partition)


@pytest.mark.timeout(90)
async def test_commands_placed_by_librdkafkas_default_have_their_one_outcome_and_are_counted(
    fleet: Fleet, kafka: KafkaConnection, topics: Topics
) -> None:
    ids = [uuid4() for _ in range(DEPLOYMENTS)]
    async with fleet.of(2, topics.partitions), producing(kafka) as producer:
        await fleet.until_owned(topics.partitions)
        for record_of in (creation, lambda key: counting(key, 3), lambda key: counting(key, 5)):
            for key in ids:
                await send(producer, topics.commands, record_of(key), by_crc32(key, topics.partitions))
        async with asyncio.timeout(40):
            await fleet.until(lambda: all(_count(fleet, key) == 5 for key in ids))
        misplaced = fleet.counted_as_foreign(topics.commands)
        log = fleet.workers[0].stores.read_log()
        loaded = await log.deployments(ids)
        histories = [await log.stream(key) for key in ids]
        log.close()

    elsewhere = [key for key in ids if by_crc32(key, 2) != partition_of(key, 2)]
    assert misplaced == 3 * len(elsewhere)
    assert {key: state.replica_spec.replica_count for key, state in loaded.items()} == dict.fromkeys(ids, 5)
    for history in histories:
        assert [each.recorded.event.name for each in history].count("deployment.replica-count-set.v1") == 2
        assert [each.recorded.version for each in history] == list(range(1, len(history) + 1))


@pytest.mark.timeout(90)
async def test_workers_that_knew_fewer_partitions_follow_the_count_and_lose_nothing(
    fleet: Fleet, kafka: KafkaConnection, topics: Topics
) -> None:
    """Ownership and due work follow the new count; what sits where the old one placed it is handled, and counted."""
    ids = [uuid4() for _ in range(DEPLOYMENTS)]
    async with fleet.of(2, 1) as workers, producing(kafka) as producer:
        for key in ids:
            await send(producer, topics.commands, creation(key), partition_of(key, 1))
        await fleet.until_owned(2)
        # Nobody promises an order between partitions: a count for what is not there yet would be refused.
        async with asyncio.timeout(40):
            await fleet.until(lambda: fleet.states.keys() >= set(ids))
        for key in ids:
            await send(producer, topics.commands, counting(key, 5), partition_of(key, 2))
        async with asyncio.timeout(40):
            await fleet.until(lambda: all(_count(fleet, key) == 5 and _is_tried(fleet, key) for key in ids))
        owners = {key: [worker.plane.ownership.owns(key) for worker in workers].count(True) for key in ids}

    assert owners == dict.fromkeys(ids, 1)


@pytest.mark.timeout(90)
async def test_a_topic_that_gets_more_partitions_under_running_workers_loses_nothing(
    fleet: Fleet, kafka: KafkaConnection, topics: Topics
) -> None:
    """Needs a broker that can add partitions to a topic, which the embedded one cannot."""
    ids = [uuid4() for _ in range(DEPLOYMENTS)]
    async with fleet.of(2, 2) as workers, producing(kafka) as producer:
        await fleet.until_owned(2)
        for key in ids:
            await send(producer, topics.commands, creation(key), partition_of(key, 2))
        try:
            await add_partitions(kafka, topics, 4)
        except IncompatibleBrokerVersion:
            pytest.skip("this broker cannot add partitions: name another one in ROUTEKEEPER_TEST_KAFKA")
        async with asyncio.timeout(40):
            await fleet.until_owned(4)
        # Apache Kafka keeps what producers of the old count send where they put it.
        for key in ids:
            await send(producer, topics.commands, counting(key, 5), partition_of(key, 2))
        async with asyncio.timeout(40):
            await fleet.until(lambda: all(_count(fleet, key) == 5 for key in ids))
        owners = {key: [worker.plane.ownership.owns(key) for worker in workers].count(True) for key in ids}

    assert owners == dict.fromkeys(ids, 1)


async def add_partitions(kafka: KafkaConnection, topics: Topics, count: int) -> None:
    async with administration(kafka, give_up_after=10) as admin:
        await admin.create_partitions({topic: NewPartitions(count) for topic in topics.inputs})


def _count(fleet: Fleet, key: UUID) -> int | None:
    return fleet.states[key].replica_spec.replica_count if key in fleet.states else None


def _is_tried(fleet: Fleet, key: UUID) -> bool:
    """Whether somebody has tried to register the endpoint, for which there is no proxy here."""
    return Operation.CHECK_PENDING in fleet.states[key].failures
