"""Follows the log and publishes it: every event, and what each route should be."""

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from aiokafka.errors import KafkaError

from adapters.kafka.connection import KafkaConnection
from adapters.kafka.continuity import ADVICE, LogWentBack
from adapters.kafka.ordered_sending import send_in_order
from adapters.kafka.producer_session import ProducerSession
from adapters.kafka.published import desired_route_records, event_record
from adapters.kafka.stoppable import unless_stopped, wait_for_event
from adapters.kafka.topics import Topics
from domain.incarnations import FIRST_INCARNATION
from domain.quantities import Count, Seconds, SecondsOrNone
from domain.recorded import LoggedEvent
from handlers.backoff import Backoff

log = logging.getLogger(__name__)

_MAX_REQUEST_BYTES = 4 * 1024 * 1024


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


@dataclass(frozen=True, slots=True, kw_only=True)
class PublisherLimits:
    """How the log is published: events a batch (count), and how far rounds are apart (seconds).

    ``pause_seconds`` at least, so that a busy log is published in larger batches; ``poll_seconds`` at most, where
    nobody says that there is something new.
    """

    batch_size: Count = 500
    pause_seconds: SecondsOrNone = 0.05
    poll_seconds: Seconds = 0.5


_DEFAULT_LIMITS = PublisherLimits()
_DEFAULT_BACKOFF = Backoff(base=0.2, cap=10.0)


class EventPublisher:
    """Publishes at least once, and in order per deployment; the position moves when all replicas have a batch.

    ``incarnation`` (from 1) is that of the log. After a crash some of it is published again; incarnation, position and
    version in the headers tell consumers what they have seen. Topics that were made anew (another ``epoch``) get the
    whole log again. A batch is delivered within ``batch_seconds``. Only one at a time may run: of two, the slower one
    would leave older values on a compacted topic.
    """

    def __init__(
        self,
        connection: KafkaConnection,
        topics: Topics,
        followed: FollowedLog,
        *,
        epoch: str,
        incarnation: int = FIRST_INCARNATION,
        limits: PublisherLimits = _DEFAULT_LIMITS,
        batch_seconds: float = 30.0,
        backoff: Backoff = _DEFAULT_BACKOFF,
        random: Callable[[], float] = random.random,
    ) -> None:
        self._topics = topics
        self._log = followed
        self._name = f"publisher/{epoch}"
        self._incarnation = incarnation
        self._reached = 0
        self._limits = limits
        self._batch_seconds = batch_seconds
        self._backoff = backoff
        self._random = random
        self._session = ProducerSession(connection, max_request_bytes=_MAX_REQUEST_BYTES)

    async def position(self) -> int:
        """The position in the log up to which everything is published. Raises what the log raises."""
        return await self._log.follower(self._name)

    async def run(self, stop: asyncio.Event, wake: asyncio.Event) -> None:
        """Publish until ``stop`` is set, and then what is left.

        ``wake`` says that there may be new events, and is cleared. While the broker is away it is tried again and
        again, with a bounded backoff, but not after ``stop``. Raises :class:`LogWentBack`, and what the log raises.
        """
        failures = 0
        try:
            is_last_round = False
            while not is_last_round:
                is_last_round = stop.is_set()
                wake.clear()
                try:
                    while await self._publish_batch():
                        pass
                    failures = 0
                except (KafkaError, TimeoutError) as error:
                    failures += 1
                    await self._recover(error, failures, stop)
                else:
                    if not is_last_round:
                        await wait_for_event(stop, self._limits.pause_seconds)
                        await unless_stopped(stop, wait_for_event(wake, self._limits.poll_seconds))
        finally:
            await self._session.close()

    async def _publish_batch(self) -> bool:
        """Publish what comes next; tells whether there may be more."""
        position = await self.position()
        if position < self._reached:
            raise LogWentBack(
                f"the log was published up to position {self._reached} and now up to {position}. {ADVICE}"
            )
        self._reached = max(self._reached, position)
        events = await self._log.read(after=position, limit=self._limits.batch_size)
        if not events:
            return False
        async with asyncio.timeout(self._batch_seconds):
            producer = await self._session.producer()
            await send_in_order(producer, self._topics.events, [event_record(e, self._incarnation) for e in events])
            routes = [record for event in events for record in desired_route_records(event, self._incarnation)]
            await send_in_order(producer, self._topics.desired_routes, routes)
        # If another publisher was faster, its position counts, and what both sent is recognised by its headers.
        if await self._log.move_follower(self._name, expected=position, following=events[-1].position):
            self._reached = events[-1].position
        return len(events) == self._limits.batch_size

    async def _recover(self, error: Exception, failures: int, stop: asyncio.Event) -> None:
        # What was handed to the producer must not arrive behind what the next one sends.
        await self._session.close()
        delay = self._backoff.delay(failures, self._random())
        log.warning("events are published again in %.1f s: %r", delay, error, extra={"action": "publish-again"})
        await wait_for_event(stop, delay)
