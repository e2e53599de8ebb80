"""Reference part: stands in for whatever runs the replicas.

It follows the published events, lets make-believe replicas come and go, and reports them back through Kafka. It keeps
nothing: started again it reads all events anew, and what it reports twice is no news.
"""

import asyncio
import json
import logging
from datetime import UTC, datetime
from uuid import UUID, uuid4

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from adapters.kafka.connection import KafkaConnection
from adapters.kafka.encoding import encode_command
from adapters.kafka.topics import Topics
from domain.commands import ReportRoutes
from domain.registry import EVENT_TYPES
from service.demo.replica_model import ReplicaModel, ReplicaTimes

log = logging.getLogger(__name__)

_SOURCE = "/reference-runtime"


class ReferenceRuntime:
    """Runs make-believe replicas until it is told to stop.

    ``fetch_records`` (count) and ``fetch_wait_seconds`` bound one fetch of events.
    """

    def __init__(
        self,
        connection: KafkaConnection,
        topics: Topics,
        times: ReplicaTimes | None = None,
        *,
        fetch_records: int = 500,
        fetch_wait_seconds: float = 0.5,
    ) -> None:
        self._options = connection.client_options()
        self._topics = topics
        self._model = ReplicaModel(times or ReplicaTimes())
        self._fetch_records = fetch_records
        self._fetch_wait_seconds = fetch_wait_seconds

    async def run(self, stop: asyncio.Event) -> None:
        """Follow events and report, until ``stop`` is set."""
        # Every event concerns us, and nobody shares the work: there is no group.
        events = self._topics.events
        consumer = AIOKafkaConsumer(events, enable_auto_commit=False, auto_offset_reset="earliest", **self._options)
        producer = AIOKafkaProducer(acks="all", **self._options)
        await consumer.start()
        await producer.start()
        try:
            while not stop.is_set():
                await self._follow(consumer)
                for report in self._model.due(_seconds()):
                    await self._send(producer, report)
        finally:
            await producer.stop()
            await consumer.stop()

    async def _follow(self, consumer: AIOKafkaConsumer) -> None:
        due = self._model.next_due()
        wait = self._fetch_wait_seconds if due is None else max(0.0, min(self._fetch_wait_seconds, due - _seconds()))
        batch = await consumer.getmany(timeout_ms=int(wait * 1000), max_records=self._fetch_records)
        for records in batch.values():
            for record in records:
                self._take(record.value)

    def _take(self, value: bytes) -> None:
        published = json.loads(value)
        event_type = EVENT_TYPES.get(published["type"])
        if event_type is None:
            log.warning("The reference runtime does not know events of type %s", published["type"])
            return
        event = event_type.model_validate(published["data"]["event"])
        self._model.follow(UUID(published["subject"]), event, _seconds())

    async def _send(self, producer: AIOKafkaProducer, report: ReportRoutes) -> None:
        record = encode_command(
            report, source=_SOURCE, id=str(uuid4()), actor="reference-runtime", time=datetime.now(UTC)
        )
        await producer.send_and_wait(self._topics.routes, record.value, key=record.key)


def _seconds() -> float:
    return asyncio.get_running_loop().time()
