"""Fault 11: what was read is not there any more. The consumer stops loudly and never begins at the end instead."""

import asyncio
from dataclasses import replace

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete

from adapters.kafka.connection import KafkaConnection
from adapters.kafka.consumer import RecordConsumer
from adapters.kafka.consumer_settings import ConsumerSettings
from adapters.kafka.topics import Topics, administration
from handlers.consumption import RecordsLost, TopicRecreated
from handlers.ports import Position
from handlers.records import PartitionId
from tests.backing_services import kafka_source
from tests.kafka_support import RecordingHandler, consuming, producing


async def make_anew(admin: AIOKafkaAdminClient, topic: str, partitions: int) -> None:
    await admin.delete_topics([topic])
    async with asyncio.timeout(20):
        while topic in await admin.list_topics():  # noqa: ASYNC110 - only the broker knows
            await asyncio.sleep(0.05)
        # A broker that still deletes refuses the name for a moment.
        while (await admin.create_topics([NewTopic(topic, partitions, 1)])).topic_errors[0][1]:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("records", [0, 2, 5], ids=["empty", "shorter", "longer"])
async def test_fault_11_a_topic_that_was_made_anew_while_nobody_read_stops_the_consumer(
    kafka: KafkaConnection, topics: Topics, consumer_settings: ConsumerSettings, records: int
) -> None:
    """Whether it is empty now, or holds other records, fewer or more of them than were read."""
    handler = RecordingHandler()
    async with producing(kafka) as producer, administration(kafka, give_up_after=30) as admin:
        for n in range(3):
            await producer.send_and_wait(topics.commands, b"%d" % n, partition=0)
        async with consuming(handler, kafka, topics, consumer_settings):
            await handler.until(values=3)
        await make_anew(admin, topics.commands, topics.partitions)
    async with producing(kafka) as producer:
        for n in range(records):
            await producer.send_and_wait(topics.commands, b"other %d" % n, partition=0)

    settings = replace(consumer_settings, group=f"{consumer_settings.group}-again", confirm_within=1.0)
    consumer = RecordConsumer(handler, kafka, topics, epoch="one", settings=settings)
    with pytest.raises(TopicRecreated, match=f"topic {topics.commands}, partition 0.*epoch"):
        await asyncio.wait_for(consumer.run(asyncio.Event()), 30)

    assert handler.values == [b"0", b"1", b"2"]


@pytest.mark.skipif(kafka_source() == "wheel", reason="the embedded broker does not delete records")
async def test_fault_11_records_that_were_deleted_before_they_were_read_stop_the_consumer(
    kafka: KafkaConnection, topics: Topics, consumer_settings: ConsumerSettings
) -> None:
    """As a retention that is too short deletes them."""
    handler = RecordingHandler()
    handler.positions[PartitionId(topics.commands, "one", 0)] = Position(next=1, digest="of record 0")
    partition = TopicPartition(topics.commands, 0)
    async with producing(kafka) as producer, administration(kafka, give_up_after=30) as admin:
        for n in range(5):
            await producer.send_and_wait(topics.commands, b"%d" % n, partition=0)
        await admin.delete_records({partition: RecordsToDelete(before_offset=3)})
    reader = AIOKafkaConsumer(**kafka.client_options())
    await reader.start()
    beginnings = await reader.beginning_offsets([partition])
    await reader.stop()
    assert beginnings == {partition: 3}

    consumer = RecordConsumer(handler, kafka, topics, epoch="one", settings=consumer_settings)
    with pytest.raises(RecordsLost, match="2 records were deleted before they were read"):
        await asyncio.wait_for(consumer.run(asyncio.Event()), 30)

    assert handler.values == []
