"""Handing a command to Kafka."""

import asyncio
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from adapters.kafka.connection import KafkaConnection
from adapters.kafka.encoding import encode_command, topic_of
from adapters.kafka.topics import Topics
from domain.commands import ExternalCommand
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


async def send_command(
    command: ExternalCommand,
    *,
    connection: KafkaConnection,
    topics: Topics,
    id: str,  # noqa: A002 - CloudEvents' own name
    actor: str,
) -> SentCommand:
    """Produce a command and await the brokers' acknowledgement. Raises :class:`NotSent`."""
    # What goes wrong is told by the error; the client's own warnings would only repeat it.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    record = encode_command(command, source=SOURCE, id=id, actor=actor, time=datetime.now(UTC))
    topic = topic_of(command, topics)
    producer = AIOKafkaProducer(**connection.client_options(), acks="all")
    try:
        async with asyncio.timeout(2 * connection.request_timeout):
            await producer.start()
            written = await producer.send_and_wait(topic, record.value, key=record.key)
    except (KafkaError, TimeoutError) as error:
        reason = str(error) or type(error).__name__
        raise NotSent(f"Kafka at {connection.bootstrap_servers} did not take the command: {reason}") from error
    finally:
        await producer.stop()
    return SentCommand(
        deployment_id=command.deployment_id,
        command=type(command).__name__,
        source=SOURCE,
        id=id,
        actor=actor,
        topic=topic,
        partition=written.partition,
        offset=written.offset,
    )
