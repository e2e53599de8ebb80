"""Handing a command to Kafka."""

import asyncio
import logging
from dataclasses import dataclass
from uuid import UUID

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from adapters.kafka.connection import KafkaConnection
from adapters.kafka.encoding import EncodedRecord
from service.cli.errors import NotSent

#: Who commands from here are from, as CloudEvents have it.
SOURCE = "/routekeeper/cli"


@dataclass(frozen=True, slots=True, kw_only=True)
class SentCommand:
    """A command with where it stands in Kafka, and what came of it: the log's position and the deployment's version."""

    deployment_id: UUID
    command: str
    source: str
    id: str
    actor: str
    topic: str
    partition: int
    offset: int
    position: int | None = None
    version: int | None = None


async def produce(record: EncodedRecord, topic: str, connection: KafkaConnection) -> tuple[int, int]:
    """Send a record, await the brokers' acknowledgement, and give partition and offset. Raises :class:`NotSent`."""
    # What goes wrong is told by the error; the client's own warnings would only repeat it.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    producer = AIOKafkaProducer(
        **connection.client_options(), acks="all", enable_idempotence=connection.has_idempotent_producers
    )
    try:
        async with asyncio.timeout(2 * connection.request_timeout):
            await producer.start()
            written = await producer.send_and_wait(topic, record.value, key=record.key)
    except (KafkaError, TimeoutError) as error:
        reason = str(error) or type(error).__name__
        raise NotSent(f"Kafka at {connection.bootstrap_servers} did not take the command: {reason}") from error
    finally:
        await producer.stop()
    return written.partition, written.offset
