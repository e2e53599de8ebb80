"""Reference part: stands in for whatever runs the replicas, inside this process or as one of its own.

It follows the published events, lets make-believe replicas come and go, and reports them back through Kafka. It keeps
nothing: started again it reads all events anew, and what it reports twice is no news. As a process::

    ROUTEKEEPER_KAFKA__BOOTSTRAP_SERVERS=broker:9092 python -m service.demo.reference_runtime

with the settings of a worker for Kafka and the topics, which have to be there.
"""

import asyncio
import json
import logging
import signal
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID, uuid4

import typer
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError

from adapters.kafka.connection import KafkaConnection
from adapters.kafka.encoding import encode_command
from adapters.kafka.topics import Topics
from domain.commands import ReportRoutes
from domain.errors import RoutekeeperError
from domain.registry import EVENT_TYPES
from service.demo.replica_model import ReplicaModel, ReplicaTimes
from service.kafka_access import known_kafka
from service.logs import configure_logs
from service.settings import Settings, load_settings

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
        try:
            await consumer.start()
            await producer.start()
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


async def _run_until_signalled(settings: Settings, times: ReplicaTimes) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    connection = known_kafka(settings).connection
    log.info("The reference runtime follows %s at %s", settings.kafka.topics.events, connection.bootstrap_servers)
    await ReferenceRuntime(connection, settings.kafka.topics, times).run(stop)


def main(
    *,
    start_seconds: Annotated[float, typer.Option(min=0, help="How long a replica takes to become healthy.")] = 0.3,
    stop_seconds: Annotated[float, typer.Option(min=0, help="How long a replica takes to end.")] = 0.2,
) -> None:
    """Run make-believe replicas until SIGINT or SIGTERM, for demonstration and tests."""
    try:
        settings = load_settings()
        configure_logs(settings)
        asyncio.run(_run_until_signalled(settings, ReplicaTimes(start=start_seconds, stop=stop_seconds)))
    except (RoutekeeperError, KafkaError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None


if __name__ == "__main__":
    typer.run(main)
