"""Takes the consumer to the stored position of each partition, and makes sure that the topic is still the same one."""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

from adapters.kafka.starting_point import StartingPoint, behind_the_end, starting_point
from handlers.ports import Position
from handlers.records import PartitionId, ReceivedRecord

log = logging.getLogger(__name__)


class PartitionStarts:
    """Begins one record early where that record is still there, and compares it with what was handled before."""

    def __init__(self, consumer: AIOKafkaConsumer, *, clock: Callable[[], datetime], confirm_within: float) -> None:
        self._consumer = consumer
        self._clock = clock
        self._confirm_within = confirm_within
        self._starting: dict[TopicPartition, StartingPoint] = {}

    async def seek(
        self, partitions: Mapping[PartitionId, TopicPartition], positions: Mapping[PartitionId, Position | None]
    ) -> None:
        """Have each partition read from its position. Raises :class:`~handlers.consumption.ConsumptionHalted`."""
        beginnings = await self._consumer.beginning_offsets(list(partitions.values()))
        ends = await self._consumer.end_offsets(list(partitions.values()))
        for origin, partition in partitions.items():
            beginning, end = beginnings[partition], ends[partition]
            point = starting_point(origin, positions.get(origin), beginning=beginning, end=end)
            self._starting[partition] = point
            self._consumer.seek(partition, point.offset)
            if point.previous is not None and point.must_be_there:
                await self._confirm(origin, partition, point.previous, end)
            log.info("reading %s from offset %d", partition, point.offset, extra={"action": "read-partition"})

    def received(
        self, origin: PartitionId, partition: TopicPartition, read: Sequence[ConsumerRecord]
    ) -> list[ReceivedRecord]:
        """What was read, without the record that was only there to be compared.

        Raises :class:`~handlers.consumption.TopicRecreated`.
        """
        now = self._clock()
        records = [
            ReceivedRecord(
                origin=origin,
                offset=each.offset,
                key=each.key,
                value=each.value,
                received_at=now,
                headers=[(name, value or b"") for name, value in each.headers],
            )
            for each in read
        ]
        point = self._starting.pop(partition, None)
        return records[1:] if point is not None and records and point.is_previous(records[0]) else records

    def forget(self) -> None:
        """The partitions are somebody else's."""
        self._starting.clear()

    async def _confirm(self, origin: PartitionId, partition: TopicPartition, position: Position, end: int) -> None:
        self._consumer.resume(partition)
        try:
            wait = int(self._confirm_within * 1000)
            batch = await self._consumer.getmany(partition, timeout_ms=wait, max_records=1)
        except OffsetOutOfRangeError:
            batch = {}
        if not batch:
            raise behind_the_end(origin, position, end)
        self.received(origin, partition, batch[partition])
        self._consumer.seek(partition, position.next)
