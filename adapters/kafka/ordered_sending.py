"""Sends records so that within a partition none overtakes another, even where sending fails half-way."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer

from adapters.kafka.partitioner import partition_of
from adapters.kafka.published import OutgoingRecord


async def send_in_order(producer: AIOKafkaProducer, topic: str, records: Sequence[OutgoingRecord]) -> None:
    """Send all records; returns when all replicas have them.

    The next batch of a partition is sent when the one before it is safe, so what is missing after an error is always
    the end of a partition's records. Raises aiokafka's ``KafkaError``.
    """
    if not records:
        return
    count = len(await producer.partitions_for(topic))
    by_partition: dict[int, list[OutgoingRecord]] = defaultdict(list)
    for record in records:
        by_partition[partition_of(record.placed_by, count)].append(record)
    results = await asyncio.gather(
        *(_send_partition(producer, topic, partition, some) for partition, some in by_partition.items()),
        return_exceptions=True,
    )
    for result in results:
        if isinstance(result, BaseException):
            raise result


async def _send_partition(
    producer: AIOKafkaProducer, topic: str, partition: int, records: Sequence[OutgoingRecord]
) -> None:
    batch = producer.create_batch()
    for record in records:
        content = {
            "key": str(record.placed_by).encode(),
            "value": record.value,
            "headers": list(record.headers),
            "timestamp": None,
        }
        if batch.append(**content) is None:
            await (await producer.send_batch(batch, topic, partition=partition))
            batch = producer.create_batch()
            batch.append(**content)  # the first record of a batch fits whatever its size
    await (await producer.send_batch(batch, topic, partition=partition))
