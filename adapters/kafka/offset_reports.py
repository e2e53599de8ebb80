"""Tells Kafka how far the partitions were read. Information for lag monitors only: nobody starts from there."""

import asyncio
import logging
from collections.abc import Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

log = logging.getLogger(__name__)


class OffsetReports:
    """Commits the newest offsets at most once every ``interval`` seconds; what fails is logged and forgotten."""

    def __init__(self, consumer: AIOKafkaConsumer, *, interval: float = 1.0, give_up_after: float = 2.0) -> None:
        self._consumer = consumer
        self._interval = interval
        self._give_up_after = give_up_after
        self._newest: dict[TopicPartition, int] = {}
        self._there_is_news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def report(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Take note of the next offset of each partition."""
        self._newest.update(offsets)
        self._there_is_news.set()
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    def forget(self) -> None:
        """Drop what was not reported yet: the partitions are somebody else's."""
        self._newest.clear()

    async def close(self) -> None:
        """Report once more, and stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        await self._commit()

    async def _run(self) -> None:
        while True:
            await self._there_is_news.wait()
            self._there_is_news.clear()
            await self._commit()
            await asyncio.sleep(self._interval)

    async def _commit(self) -> None:
        offsets, self._newest = self._newest, {}
        if not offsets:
            return
        try:
            async with asyncio.timeout(self._give_up_after):
                await self._consumer.commit(offsets)
        except (KafkaError, TimeoutError) as error:
            log.info("offsets not reported to Kafka: %r", error, extra={"action": "report-offsets"})
