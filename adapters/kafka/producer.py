"""Hands refused records to the dead-letter topic, raw, with what was wrong in their headers."""

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from adapters.kafka.connection import KafkaConnection
from adapters.kafka.producer_session import ProducerSession
from adapters.kafka.topics import Topics
from handlers.backoff import Backoff
from handlers.ports import DeadLettersUnavailable
from handlers.records import ReceivedRecord, Refusal

log = logging.getLogger(__name__)

Header = tuple[str, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetterLimits:
    """How hard delivery is tried: ``attempts`` of at most ``attempt_timeout`` seconds each.

    A record that the topic does not take because of its size keeps its first ``kept_bytes`` bytes, and no headers but
    ours, one of which then says how long it was.
    """

    attempts: int = 5
    attempt_timeout: float = 10.0
    kept_bytes: int = 64 * 1024
    backoff: Backoff = field(default_factory=lambda: Backoff(base=0.1, cap=2.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A refused record as it goes to the topic; ``refusal_headers`` say where it stood and what was wrong with it."""

    key: bytes | None
    value: bytes | None
    own_headers: tuple[Header, ...]
    refusal_headers: tuple[Header, ...]

    def shortened(self, length: int) -> "DeadLetter":
        """The same with at most ``length`` bytes of key and value each."""
        original = ("original-length", str(len(self.value or b"")).encode())
        return replace(
            self,
            key=self.key and self.key[:length],
            value=self.value and self.value[:length],
            own_headers=(),
            refusal_headers=(*self.refusal_headers, original),
        )


def dead_letter(record: ReceivedRecord, refusal: Refusal) -> DeadLetter:
    """Describe a refused record in headers."""
    said = {
        "origin-topic": record.origin.topic,
        "origin-epoch": record.origin.epoch,
        "origin-partition": str(record.origin.partition),
        "origin-offset": str(record.offset),
        "refusal-code": refusal.code,
        "refusal-field": refusal.field,
        "refusal-value": refusal.value,
        "refusal-reason": refusal.reason,
    }
    headers = tuple((name, text.encode("utf-8", errors="backslashreplace")) for name, text in said.items())
    return DeadLetter(key=record.key, value=record.value, own_headers=tuple(record.headers), refusal_headers=headers)


_DEFAULT_LIMITS = DeadLetterLimits()


class DeadLetterProducer:
    """The dead-letter topic as the handlers' port."""

    def __init__(
        self,
        connection: KafkaConnection,
        topics: Topics,
        *,
        limits: DeadLetterLimits = _DEFAULT_LIMITS,
        random: Callable[[], float] = random.random,
    ) -> None:
        self._topic = topics.dead_letters
        self._limits = limits
        self._random = random
        self._session = ProducerSession(connection, max_request_bytes=topics.dead_letter_max_bytes)

    async def send(self, refused: Sequence[tuple[ReceivedRecord, Refusal]]) -> None:
        """Hand over refused records; returns when all replicas have all of them.

        Raises :class:`~handlers.ports.DeadLettersUnavailable` after the last attempt; some may be there then, and
        twice after the next call.
        """
        pending = [dead_letter(record, refusal) for record, refusal in refused]
        for attempt in range(1, self._limits.attempts + 1):
            try:
                pending = await self._attempt(pending)
            except KafkaError as error:
                log.warning("dead letters not delivered: %r", error, extra={"action": "send-dead-letters"})
                await self._session.close()
            if not pending:
                return
            if attempt < self._limits.attempts:
                await asyncio.sleep(self._limits.backoff.delay(attempt, self._random()))
        raise DeadLettersUnavailable(
            f"{len(pending)} refused records were not delivered to {self._topic} in {self._limits.attempts} attempts"
        )

    async def close(self) -> None:
        """Disconnect."""
        await self._session.close()

    async def _attempt(self, letters: Sequence[DeadLetter]) -> list[DeadLetter]:
        """Try all letters once and give those that did not arrive."""
        try:
            async with asyncio.timeout(self._limits.attempt_timeout):
                producer = await self._session.producer()
        except TimeoutError:
            return list(letters)
        arrived = await asyncio.gather(*(self._deliver(producer, letter) for letter in letters))
        missing = [letter for letter, is_there in zip(letters, arrived, strict=True) if not is_there]
        if missing:
            await self._session.close()
        return missing

    async def _deliver(self, producer: AIOKafkaProducer, letter: DeadLetter) -> bool:
        try:
            async with asyncio.timeout(self._limits.attempt_timeout):
                return await self._deliver_any_size(producer, letter)
        except (KafkaError, TimeoutError) as error:
            log.warning("a dead letter was not delivered: %r", error, extra={"action": "send-dead-letters"})
            return False

    async def _deliver_any_size(self, producer: AIOKafkaProducer, letter: DeadLetter) -> bool:
        try:
            await self._send(producer, letter)
        except MessageSizeTooLargeError:
            await self._send(producer, letter.shortened(self._limits.kept_bytes))
        return True

    async def _send(self, producer: AIOKafkaProducer, letter: DeadLetter) -> None:
        headers = [*letter.own_headers, *letter.refusal_headers]
        # A record without key and value is refused by the client library, though Kafka has such records.
        value = b"" if letter.key is None and letter.value is None else letter.value
        await producer.send_and_wait(self._topic, value, key=letter.key, headers=headers)
