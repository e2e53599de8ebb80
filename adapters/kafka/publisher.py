"""Publishes the log to Kafka: at least once, and in order for each deployment."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

from aiokafka import AIOKafkaProducer

from adapters.kafka.connection import KafkaConnection
from adapters.kafka.published import desired_routes, published_event
from adapters.kafka.topics import Topics
from domain.recorded import LoggedEvent


class FollowedLog(Protocol):
    """The log, and how far its followers have come."""

    async def read(self, *, after: int, limit: int) -> Sequence[LoggedEvent]:
        """At most ``limit`` events behind position ``after``, in log order."""
        ...

    async def follower(self, name: str) -> int:
        """The position that a follower has come to (0: it has not begun)."""
        ...

    async def move_follower(self, name: str, *, expected: int, following: int) -> bool:
        """Compare-and-set of that position; ``False`` if it is not ``expected``."""
        ...


class EventPublisher:
    """Follows the log from where it was left and publishes what it finds.

    A batch's position is moved once the broker has all of it, so after a crash some of it is published again; position
    and version in the headers tell consumers what they have seen. Topics that were made anew (another ``epoch``) get
    the whole log again. ``poll_seconds`` is how long it waits if nobody wakes it.
    """

    def __init__(
        self,
        connection: KafkaConnection,
        topics: Topics,
        log: FollowedLog,
        *,
        epoch: str,
        batch_size: int = 500,
        poll_seconds: float = 0.5,
    ) -> None:
        self._connection = connection
        self._topics = topics
        self._log = log
        self._name = f"publisher/{epoch}"
        self._batch_size = batch_size
        self._poll_seconds = poll_seconds

    async def run(self, stop: asyncio.Event, wake: asyncio.Event) -> None:
        """Publish until ``stop`` is set, and then what is left. Raises what Kafka and the log raise."""
        producer = AIOKafkaProducer(acks="all", linger_ms=0, **self._connection.client_options())
        await producer.start()
        try:
            is_last_round = False
            while not is_last_round:
                is_last_round = stop.is_set()
                wake.clear()
                while await self._publish_batch(producer):
                    pass
                if not is_last_round:
                    await _either(stop, wake, self._poll_seconds)
        finally:
            await producer.stop()

    async def _publish_batch(self, producer: AIOKafkaProducer) -> bool:
        """Publish what comes next; tells whether there may be more."""
        position = await self._log.follower(self._name)
        events = await self._log.read(after=position, limit=self._batch_size)
        if not events:
            return False
        sent = [ack for logged in events for ack in await self._send(producer, logged)]
        await asyncio.gather(*sent)
        # If another publisher was faster, its position counts, and what both sent is recognised by its headers.
        await self._log.move_follower(self._name, expected=position, following=events[-1].position)
        return True

    async def _send(self, producer: AIOKafkaProducer, logged: LoggedEvent) -> "list[asyncio.Future[object]]":
        recorded = logged.recorded
        headers = [("position", str(logged.position).encode()), ("version", str(recorded.version).encode())]
        key = str(recorded.stream_id).encode()
        value = published_event(logged).model_dump_json().encode()
        acks = [await producer.send(self._topics.events, value, key=key, headers=headers)]
        for route_id, route in desired_routes(logged):
            wanted = None if route is None else route.model_dump_json().encode()
            topic = self._topics.desired_routes
            acks.append(await producer.send(topic, wanted, key=str(route_id).encode(), headers=headers))
        return acks


async def _either(stop: asyncio.Event, wake: asyncio.Event, seconds: float) -> None:
    waiting = [asyncio.ensure_future(event.wait()) for event in (stop, wake)]
    with suppress(TimeoutError):
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for each in waiting:
        each.cancel()
