"""What a batch leaves behind of which one partition cannot be read on: the others are done with."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from aiokafka import AIOKafkaConsumer, TopicPartition

from adapters.kafka.connection import KafkaConnection
from adapters.kafka.consumer_settings import ConsumerSettings
from adapters.kafka.topics import Topics
from handlers.consumption import PartitionsHalted
from handlers.records import PartitionId, ReceivedRecord
from tests.kafka_support import RecordingHandler, consuming, producing


class HaltingHandler(RecordingHandler):
    """Handles everything but the records of one partition."""

    def __init__(self, halted: PartitionId) -> None:
        super().__init__()
        self._halted = halted

    async def handle(self, records: Sequence[ReceivedRecord]) -> None:
        """Halt that partition, and handle the others."""
        await super().handle([record for record in records if record.origin != self._halted])
        if any(record.origin == self._halted for record in records):
            raise PartitionsHalted({self._halted: "unknown event type"})


async def test_records_beside_a_halted_partition_are_reported_and_lag_no_more(
    kafka: KafkaConnection, topics: Topics, consumer_settings: ConsumerSettings
) -> None:
    halted, fine = (PartitionId(topics.commands, "one", number) for number in range(2))
    handler = HaltingHandler(halted)
    settings = replace(consumer_settings, commit_interval=0.05)
    async with producing(kafka) as producer:
        await asyncio.gather(
            *(producer.send_and_wait(topics.commands, b"first", partition=number) for number in (0, 1))
        )
        async with consuming(handler, kafka, topics, settings) as consumer:
            await handler.until(values=1)
            async with asyncio.timeout(20):
                while consumer.halted == {} or (await consumer.lags())[fine]:  # noqa: ASYNC110 - nobody tells when
                    await asyncio.sleep(0.01)
            assert (await consumer.lags())[halted] == 1

            await producer.send_and_wait(topics.commands, b"second", partition=1)
            await handler.until(values=2)
            assert (await consumer.lags())[halted] == 1, "what is handed over next changes nothing about it"

    reader = AIOKafkaConsumer(group_id=settings.group, enable_auto_commit=False, **kafka.client_options())
    await reader.start()
    try:
        committed = [await reader.committed(TopicPartition(topics.commands, number)) for number in (0, 1)]
    finally:
        await reader.stop()
    assert committed == [None, 2]
