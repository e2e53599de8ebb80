"""Records, handlers and readers that the tests of the Kafka adapters share."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import UUID, uuid4

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord

from adapters.kafka.connection import KafkaConnection
from adapters.kafka.consumer import RecordConsumer
from adapters.kafka.consumer_settings import ConsumerSettings
from adapters.kafka.encoding import EncodedRecord, encode_command
from adapters.kafka.topics import Topics
from domain.commands import ExternalCommand, SetReplicaCount
from handlers.ports import Position, PositionConflict
from handlers.records import PartitionId, ReceivedRecord

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
COMMANDS = "routekeeper.commands"


def received(
    value: bytes | None, *, key: bytes | None = None, topic: str = COMMANDS, partition: int = 0, offset: int = 0
) -> ReceivedRecord:
    """A record as the consumer hands it over."""
    origin = PartitionId(topic, "epoch", partition)
    return ReceivedRecord(origin=origin, offset=offset, key=key, value=value, received_at=NOW)


def command_record(command: ExternalCommand, *, id: str = "command-1") -> EncodedRecord:  # noqa: A002 - CloudEvents' name
    """A command as somebody sends it."""
    return encode_command(command, source="/tests", id=id, actor="mina", time=NOW)


def replica_command(deployment_id: UUID | None = None, count: int = 3) -> EncodedRecord:
    """The simplest of commands."""
    command = SetReplicaCount(deployment_id=deployment_id or uuid4(), replica_count=count)
    return command_record(command, id=f"set-{count}")


@asynccontextmanager
async def producing(kafka: KafkaConnection) -> AsyncIterator[AIOKafkaProducer]:
    """An independent producer."""
    producer = AIOKafkaProducer(**kafka.client_options())
    try:
        await producer.start()
        yield producer
    finally:
        await producer.stop()


async def read_all(kafka: KafkaConnection, topic: str, count: int, *, within: float = 20.0) -> list[ConsumerRecord]:
    """The first ``count`` records of a topic, in the order of each partition; fails after ``within`` seconds."""
    consumer = AIOKafkaConsumer(topic, auto_offset_reset="earliest", **kafka.client_options())
    await consumer.start()
    try:
        records: list[ConsumerRecord] = []
        async with asyncio.timeout(within):
            while len(records) < count:
                for some in (await consumer.getmany(timeout_ms=200)).values():
                    records += some
        return records
    finally:
        await consumer.stop()


class RecordingHandler:
    """Keeps positions and values in memory, and fails as it is told to."""

    def __init__(self) -> None:
        self.positions: dict[PartitionId, Position] = {}
        self.values: list[bytes | None] = []
        self.batches: list[Sequence[ReceivedRecord]] = []
        self.calls: list[str] = []
        self.failures: list[Exception] = []
        self.held: set[PartitionId] = set()
        self.gate = asyncio.Event()
        self.gate.set()
        self.changed = asyncio.Condition()

    async def assigned(self, origins: Collection[PartitionId]) -> Mapping[PartitionId, Position | None]:
        """Give what is stored."""
        self.held |= set(origins)
        await self._note("assigned")
        return {origin: self.positions.get(origin) for origin in origins}

    async def revoked(self, origins: Collection[PartitionId]) -> None:
        """Let go."""
        self.held -= set(origins)
        await self._note("revoked")

    async def handle(self, records: Sequence[ReceivedRecord]) -> None:
        """Keep the records, unless a failure is due or somebody else has moved a position."""
        await self._note("handling")
        await self.gate.wait()
        if self.failures:
            raise self.failures.pop(0)
        for record in records:
            stored = self.positions.get(record.origin)
            if stored is not None and record.offset < stored.next:
                raise PositionConflict([record.origin])
            self.positions[record.origin] = Position(next=record.offset + 1, digest=record.digest)
            self.values.append(record.value)
        self.batches.append(records)
        await self._note("handled")

    async def until(self, *, values: int = 0, held: int = 0, call: str = "", within: float = 20.0) -> None:
        """Wait until so many values were handled, so many partitions are held, and a call was made."""
        async with asyncio.timeout(within), self.changed:
            await self.changed.wait_for(
                lambda: len(self.values) >= values and len(self.held) >= held and (not call or call in self.calls)
            )

    async def _note(self, call: str) -> None:
        self.calls.append(call)
        async with self.changed:
            self.changed.notify_all()


@asynccontextmanager
async def consuming(
    handler: RecordingHandler, kafka: KafkaConnection, topics: Topics, settings: ConsumerSettings, *, epoch: str = "one"
) -> AsyncIterator[RecordConsumer]:
    """A consumer that runs, and is stopped cleanly at the end."""
    consumer = RecordConsumer(handler, kafka, topics, epoch=epoch, settings=settings)
    stop = asyncio.Event()
    running = asyncio.create_task(consumer.run(stop))
    try:
        yield consumer
    finally:
        stop.set()
        await running
