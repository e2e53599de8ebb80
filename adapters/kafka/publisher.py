"""Follows the log and publishes it: every event, and what each route should be."""

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from aiokafka.errors import KafkaError

from adapters.kafka.connection import KafkaConnection
from adapters.kafka.ordered_sending import send_in_order
from adapters.kafka.producer_session import ProducerSession
from adapters.kafka.published_events import desired_route_records, event_record
from adapters.kafka.stoppable import unless_stopped, wait_for_event
from adapters.kafka.topics import Topics
from domain.recorded import LoggedEvent
from handlers.backoff import Backoff
from handlers.followers import FollowerConflict, FollowerPositions
from handlers.ports import LogUnavailable

log = logging.getLogger(__name__)


class ReadEvents(Protocol):
    """Reads the log, as :meth:`handlers.ports.EventLog.read` does."""

    async def __call__(self, *, after: int, limit: int) -> Sequence[LoggedEvent]:
        """At most ``limit`` events behind position ``after``, in log order."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PublisherLimits:
    """At most ``batch_size`` events at once, delivered within ``batch_timeout``; times in seconds.

    ``poll_interval``: how often to look for events that nobody woke the publisher for.
    """

    batch_size: int = 500
    batch_timeout: float = 30.0
    poll_interval: float = 1.0
    backoff: Backoff = field(default_factory=lambda: Backoff(base=0.2, cap=10.0))


_DEFAULT_LIMITS = PublisherLimits()


class EventPublisher:
    """Publishes at least once, and in order per deployment; the position moves when all replicas have a batch."""

    def __init__(
        self,
        read: ReadEvents,
        positions: FollowerPositions,
        connection: KafkaConnection,
        topics: Topics,
        *,
        name: str = "kafka-publisher",
        limits: PublisherLimits = _DEFAULT_LIMITS,
        random: Callable[[], float] = random.random,
    ) -> None:
        self.position: int | None = None
        self._read = read
        self._positions = positions
        self._topics = topics
        self._name = name
        self._limits = limits
        self._random = random
        self._session = ProducerSession(connection, max_request_bytes=4 * 1024 * 1024)

    async def run(self, stop: asyncio.Event, wake: asyncio.Event) -> None:
        """Publish until ``stop``; ``wake`` says that there may be new events, and is cleared.

        While the broker or the store is away it is tried again and again, with a bounded backoff. Raises what reading
        the log raises beyond that.
        """
        failures = 0
        try:
            while not stop.is_set():
                wake.clear()
                try:
                    published = await unless_stopped(stop, self._publish_next())
                except (KafkaError, TimeoutError, LogUnavailable, FollowerConflict) as error:
                    failures += 1
                    await self._recover(error, failures, stop)
                    continue
                failures = 0
                if not published:
                    await unless_stopped(stop, wait_for_event(wake, self._limits.poll_interval))
        finally:
            await self._session.close()

    async def _publish_next(self) -> bool:
        """Publish one batch, and tell whether there was one."""
        if self.position is None:
            self.position = await self._positions.get(self._name)
        events = await self._read(after=self.position, limit=self._limits.batch_size)
        if not events:
            return False
        async with asyncio.timeout(self._limits.batch_timeout):
            producer = await self._session.producer()
            await send_in_order(producer, self._topics.events, [event_record(event) for event in events])
            routes = [record for event in events for record in desired_route_records(event)]
            await send_in_order(producer, self._topics.desired_routes, routes)
        reached = events[-1].position
        await self._positions.move(self._name, self.position, reached)
        self.position = reached
        return True

    async def _recover(self, error: Exception, failures: int, stop: asyncio.Event) -> None:
        delay = self._limits.backoff.delay(failures, self._random())
        log.warning("events are published again in %.1f s: %r", delay, error, extra={"action": "publish-again"})
        self.position = None
        if not isinstance(error, FollowerConflict | LogUnavailable):
            # What was handed to the producer must not arrive behind what the next one sends.
            await self._session.close()
        await wait_for_event(stop, delay)
