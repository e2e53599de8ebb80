"""Sends refused records, with their raw bytes, to the dead-letter topic."""

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from adapters.kafka.connection import KafkaConnection
from adapters.kafka.topics import Topics
from handlers.ports import DeadLettersUnavailable
from handlers.records import ReceivedRecord, Refusal


class DeadLetterProducer:
    """Implements :class:`handlers.ports.DeadLetters`.

    Key and value are the record's own; headers say where it stood and what was wrong. ``send_seconds`` is how long a
    batch may take until all of it is acknowledged.
    """

    def __init__(self, connection: KafkaConnection, topics: Topics, *, send_seconds: float = 15.0) -> None:
        self._topic = topics.dead_letters
        self._send_seconds = send_seconds
        self._producer = AIOKafkaProducer(
            acks="all", max_request_size=topics.dead_letter_max_bytes, **connection.client_options()
        )

    async def __aenter__(self) -> Self:
        await self._producer.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._producer.stop()

    async def send(self, refused: Sequence[tuple[ReceivedRecord, Refusal]]) -> None:
        """Send all; returns when the broker has them. Raises :class:`DeadLettersUnavailable`."""
        try:
            async with asyncio.timeout(self._send_seconds):
                acks = [await self._send(record, refusal) for record, refusal in refused]
                await asyncio.gather(*acks)
        except (KafkaError, TimeoutError) as error:
            raise DeadLettersUnavailable(
                f"{len(refused)} refused records could not be sent to {self._topic}: {error!r}"
            ) from error

    async def _send(self, record: ReceivedRecord, refusal: Refusal) -> "asyncio.Future[object]":
        origin = record.origin
        reasons = {
            "topic": origin.topic,
            "partition": str(origin.partition),
            "offset": str(record.offset),
            "code": refusal.code,
            "field": refusal.field,
            "reason": refusal.reason,
        }
        headers = [(f"routekeeper-{name}", text.encode()) for name, text in reasons.items()]
        ack: asyncio.Future[object] = await self._producer.send(
            self._topic, record.value, key=record.key, headers=[*record.headers, *headers]
        )
        return ack
