"""Finds the broker to work with: the one that the settings name, else an embedded one, which is started if need be."""

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from adapters.kafka.connection import KafkaConnection
from adapters.kafka.consumer_settings import ConsumerSettings
from adapters.kafka.embedded_broker import EmbeddedBroker
from domain.errors import RoutekeeperError
from service.embedded import EmbeddedParts, announce_embedded, find_embedded, withdraw_embedded
from service.settings import Settings


class NoBroker(RoutekeeperError):
    """No broker is named by the settings, and no embedded one is up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaAccess:
    """A cluster, the incarnation of its topics, and how to join a consumer group there."""

    connection: KafkaConnection
    epoch: str
    consumer: ConsumerSettings


def known_kafka(settings: Settings) -> KafkaAccess:
    """The broker of the settings, or the embedded one that is up. Raises :class:`NoBroker`."""
    kafka = settings.kafka
    parts = find_embedded(settings.data_dir)
    if parts is not None and kafka.bootstrap_servers in {None, parts.broker_address}:
        return _embedded_access(parts, settings)
    if kafka.bootstrap_servers is None:
        raise NoBroker(
            f"no broker is up for data folder {settings.data_dir}: start 'routekeeper demo' or 'routekeeper worker', "
            "or name one in ROUTEKEEPER_KAFKA__BOOTSTRAP_SERVERS"
        )
    connection = KafkaConnection(
        bootstrap_servers=kafka.bootstrap_servers, has_idempotent_producers=kafka.idempotent_producers
    )
    return KafkaAccess(connection=connection, epoch=kafka.epoch, consumer=kafka.consumer)


@asynccontextmanager
async def kafka_or_embedded(settings: Settings) -> AsyncIterator[KafkaAccess]:
    """As :func:`known_kafka`, but an embedded broker is started if none is up, and ended with this block.

    It outlasts the kill of this process, so that the next worker finds what was sent, and ends it in its turn.
    """
    try:
        access: KafkaAccess | None = known_kafka(settings)
    except NoBroker:
        access = None
    if access is None:
        async with embedded_broker(settings, is_supervised=False) as parts:
            yield _embedded_access(parts, settings)
        return
    try:
        yield access
    finally:
        _end_unsupervised(settings)


@asynccontextmanager
async def embedded_broker(settings: Settings, *, is_supervised: bool) -> AsyncIterator[EmbeddedParts]:
    """Start an embedded broker, let others find it, and end it with the block.

    One that is supervised dies with this process, however that ends.
    """
    broker = EmbeddedBroker(settings.data_dir / "broker.log", dies_with_parent=is_supervised)
    async with broker:
        parts = EmbeddedParts(
            broker_address=broker.address,
            broker_incarnation=broker.incarnation,
            broker_pid=broker.pid or 0,
            is_supervised=is_supervised,
        )
        announce_embedded(settings.data_dir, parts)
        try:
            yield parts
        finally:
            withdraw_embedded(settings.data_dir)


def _end_unsupervised(settings: Settings) -> None:
    """End a broker that was left behind by a worker that was killed."""
    parts = find_embedded(settings.data_dir)
    if settings.kafka.bootstrap_servers is None and parts is not None and not parts.is_supervised:
        os.kill(parts.broker_pid, signal.SIGTERM)
        withdraw_embedded(settings.data_dir)


def _embedded_access(parts: EmbeddedParts, settings: Settings) -> KafkaAccess:
    return KafkaAccess(
        connection=KafkaConnection(bootstrap_servers=parts.broker_address, has_idempotent_producers=False),
        epoch=parts.broker_incarnation,
        consumer=settings.kafka.consumer.for_embedded_broker(),
    )
