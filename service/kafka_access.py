"""Finds the broker to work with: the one that the settings name, else an embedded one, which is started if need be."""

import asyncio
import fcntl
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from adapters.kafka.connection import KafkaConnection
from adapters.kafka.consumer_settings import ConsumerSettings
from adapters.kafka.embedded_broker import EmbeddedBroker
from adapters.kafka.security import KafkaSecurityInvalid
from adapters.secrets import SecretUnreadable
from domain.errors import RoutekeeperError
from service.embedded import EmbeddedParts, announce_embedded, find_embedded, withdraw_embedded
from service.settings import Settings, SettingsInvalid


class NoBroker(RoutekeeperError):
    """No broker is named by the settings, and no embedded one is up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaAccess:
    """A cluster, the incarnation of its topics, and how to join a consumer group there."""

    connection: KafkaConnection
    epoch: str
    consumer: ConsumerSettings


def known_kafka(settings: Settings) -> KafkaAccess:
    """The broker of the settings, or the embedded one that is up.

    Raises :class:`NoBroker` and :class:`SettingsInvalid`.
    """
    kafka = settings.kafka
    parts = find_embedded(settings.data_dir)
    if parts is not None and kafka.bootstrap_servers in {None, parts.broker_address}:
        return _embedded_access(parts, settings)
    if kafka.bootstrap_servers is None:
        raise NoBroker(
            f"no broker is up for data folder {settings.data_dir}: start 'routekeeper demo' or 'routekeeper worker', "
            "or name one in ROUTEKEEPER_KAFKA__BOOTSTRAP_SERVERS"
        )
    try:
        kafka.security.check_files()
    except (KafkaSecurityInvalid, SecretUnreadable) as error:
        raise SettingsInvalid(f"ROUTEKEEPER_KAFKA__SECURITY: {error}") from None
    connection = KafkaConnection(
        bootstrap_servers=kafka.bootstrap_servers,
        security=kafka.security,
        has_idempotent_producers=kafka.idempotent_producers,
    )
    return KafkaAccess(connection=connection, epoch=kafka.epoch, consumer=kafka.consumer)


@asynccontextmanager
async def kafka_or_embedded(settings: Settings) -> AsyncIterator[KafkaAccess]:
    """As :func:`known_kafka`, but an embedded broker is started if none is up.

    It outlasts the kill of the process that started it, so that the next worker finds what was sent. The last worker
    that leaves properly ends it.
    """
    if settings.kafka.bootstrap_servers is not None:
        yield known_kafka(settings)
        return
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with (settings.data_dir / "workers.lock").open("w") as workers:
        with (settings.data_dir / "start.lock").open("w") as start:
            # Only the start itself is waited for: the lock goes with the file.
            await asyncio.to_thread(fcntl.flock, start, fcntl.LOCK_EX)
            fcntl.flock(workers, fcntl.LOCK_SH)
            if find_embedded(settings.data_dir) is None:
                await _start_broker(settings, is_supervised=False)
        try:
            yield known_kafka(settings)
        finally:
            with suppress(BlockingIOError):
                fcntl.flock(workers, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _end_unsupervised(settings)


@asynccontextmanager
async def embedded_broker(settings: Settings) -> AsyncIterator[EmbeddedParts]:
    """Start an embedded broker that dies with this process, let others find it, and end it with the block."""
    broker, parts = await _start_broker(settings, is_supervised=True)
    try:
        yield parts
    finally:
        withdraw_embedded(settings.data_dir)
        await broker.stop()


async def _start_broker(settings: Settings, *, is_supervised: bool) -> tuple[EmbeddedBroker, EmbeddedParts]:
    broker = EmbeddedBroker(settings.data_dir / "broker.log", dies_with_parent=is_supervised)
    await broker.start()
    parts = EmbeddedParts(
        broker_address=broker.address,
        broker_incarnation=broker.incarnation,
        broker_pid=broker.pid or 0,
        is_supervised=is_supervised,
    )
    announce_embedded(settings.data_dir, parts)
    return broker, parts


def _end_unsupervised(settings: Settings) -> None:
    parts = find_embedded(settings.data_dir)
    if parts is not None and not parts.is_supervised:
        os.kill(parts.broker_pid, signal.SIGTERM)
        withdraw_embedded(settings.data_dir)


def _embedded_access(parts: EmbeddedParts, settings: Settings) -> KafkaAccess:
    return KafkaAccess(
        connection=KafkaConnection(bootstrap_servers=parts.broker_address, has_idempotent_producers=False),
        epoch=parts.broker_incarnation,
        consumer=settings.kafka.consumer.for_embedded_broker(),
    )
