"""Reads topics once, as they are, outside any consumer group: to compare, not to handle."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from adapters.kafka.connection import KafkaConnection
from adapters.kafka.topics import KafkaUnavailable, administration, partition_counts

#: How long to wait for a record that may not be there (milliseconds).
_WAIT_MS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionContent:
    """What a partition holds: its first offset, the offset that the next record gets, and records that were read."""

    beginning: int
    end: int
    records: Sequence[ConsumerRecord]


async def read_topics(
    connection: KafkaConnection, names: Collection[str], *, only_last: bool, give_up_after: float = 30.0
) -> Mapping[TopicPartition, PartitionContent]:
    """Read topics whole, or only the last record of each partition.

    Raises :class:`KafkaUnavailable` after ``give_up_after`` seconds.
    """
    # The consumer itself knows on Apache Kafka only of topics that it has been told to read.
    async with administration(connection, give_up_after=give_up_after) as admin:
        counts = await partition_counts(admin, tuple(names))
    partitions = [TopicPartition(name, number) for name, count in counts.items() for number in range(count)]
    consumer = AIOKafkaConsumer(enable_auto_commit=False, **connection.client_options())
    try:
        async with asyncio.timeout(give_up_after):
            await consumer.start()
            consumer.assign(partitions)
            return await _drain(consumer, partitions, only_last=only_last) if partitions else {}
    except (KafkaError, TimeoutError) as error:
        raise KafkaUnavailable(f"{', '.join(names)} could not be read from Kafka: {error!r}") from error
    finally:
        await consumer.stop()


async def _drain(
    consumer: AIOKafkaConsumer, partitions: Collection[TopicPartition], *, only_last: bool
) -> Mapping[TopicPartition, PartitionContent]:
    beginnings, ends = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
    for partition in partitions:
        start = max(beginnings[partition], ends[partition] - 1) if only_last else beginnings[partition]
        consumer.seek(partition, start)
    read: dict[TopicPartition, list[ConsumerRecord]] = {partition: [] for partition in partitions}
    while True:
        batch = await consumer.getmany(timeout_ms=_WAIT_MS)
        for partition, records in batch.items():
            if only_last:
                read[partition] = records[-1:]
            else:
                read[partition].extend(records)
        # The end may be more than was said: the embedded broker counts a batch of records as one there.
        reached = {partition: await consumer.position(partition) for partition in partitions}
        if not batch and all(reached[partition] >= ends[partition] for partition in partitions):
            return {
                partition: PartitionContent(
                    beginning=beginnings[partition], end=max(reached[partition], ends[partition]), records=records
                )
                for partition, records in read.items()
            }
