"""Reads the input topics as a member of a consumer group, and survives losing the broker."""

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from aiokafka import AIOKafkaConsumer
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import KafkaError

from adapters.kafka.connection import KafkaConnection
from adapters.kafka.consumer_settings import ConsumerSettings
from adapters.kafka.lenient_headers import accept_any_header_name
from adapters.kafka.membership import Membership
from adapters.kafka.stoppable import wait_for_event
from adapters.kafka.topics import Topics
from handlers.consumption import RecordHandler
from handlers.records import PartitionId

log = logging.getLogger(__name__)

_DEFAULT_SETTINGS = ConsumerSettings()


def _utc_now() -> datetime:
    return datetime.now(UTC)


class RecordConsumer:
    """Drives a handler with the records of the partitions that the group gives to this worker.

    ``epoch`` names the incarnation of the topics; another one makes every partition be read from its beginning.
    ``resized`` is told, again and again, how many partitions (count) the commands topic has.
    """

    def __init__(
        self,
        handler: RecordHandler,
        connection: KafkaConnection,
        topics: Topics,
        *,
        epoch: str,
        settings: ConsumerSettings = _DEFAULT_SETTINGS,
        clock: Callable[[], datetime] = _utc_now,
        random: Callable[[], float] = random.random,
        resized: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._handler = handler
        self._connection = connection
        self._topics = topics
        self._epoch = epoch
        self._settings = settings
        self._clock = clock
        self._random = random
        self._resized = resized
        self._is_paused = False
        self._membership: Membership | None = None

    @property
    def assignment(self) -> frozenset[PartitionId]:
        """The partitions that are being read: none before the first join, and while the broker is away."""
        return self._membership.reading if self._membership is not None else frozenset()

    @property
    def halted(self) -> Mapping[PartitionId, str]:
        """The partitions that rest because this version does not understand what their records are for, and why."""
        return dict(self._membership.halted) if self._membership is not None else {}

    @property
    def has_joined(self) -> bool:
        """Whether the group has given this worker its partitions, be it none."""
        return self._membership is not None and self._membership.has_joined

    @property
    def is_prepared(self) -> bool:
        """Whether all partitions that were assigned are being read."""
        return self._membership is not None and self._membership.is_prepared

    @property
    def is_paused(self) -> bool:
        """Whether nothing is read for the time being."""
        return self._is_paused

    async def lags(self) -> Mapping[PartitionId, int]:
        """How many records (count) of each partition that is being read are not committed yet.

        Raises aiokafka's ``KafkaError`` where the broker does not say.
        """
        return await self._membership.lags() if self._membership is not None else {}

    def pause(self) -> None:
        """Read no more records, but stay in the group."""
        self._is_paused = True
        if self._membership is not None:
            self._membership.is_paused = True

    def resume(self) -> None:
        """Read on."""
        self._is_paused = False
        if self._membership is not None:
            self._membership.is_paused = False

    async def run(self, stop: asyncio.Event) -> None:
        """Read until ``stop`` is set, then finish what is being handled and leave the group.

        While the broker is away it is tried again and again, with a bounded backoff. Raises
        :class:`~handlers.consumption.ConsumptionHalted` where going on would lose or repeat records, and whatever the
        handler raises beyond what it may.
        """
        failures = 0
        while not stop.is_set():
            membership = self._membership = self._new_membership()
            try:
                await membership.run(self._topics.inputs, stop)
            except KafkaError as error:
                failures = 1 if membership.has_handled else failures + 1
                delay = self._settings.backoff.delay(failures, self._random())
                log.warning("lost Kafka, joining again in %.1f s: %r", delay, error, extra={"action": "rejoin"})
                await wait_for_event(stop, delay)
            finally:
                self._membership = None

    def _new_membership(self) -> Membership:
        accept_any_header_name()
        consumer = AIOKafkaConsumer(
            **self._settings.client_options(self._connection),
            partition_assignment_strategy=[RangePartitionAssignor],
        )
        membership = Membership(
            consumer,
            self._handler,
            epoch=self._epoch,
            low_priority_topics=[self._topics.metrics],
            settings=self._settings,
            clock=self._clock,
            random=self._random,
            counted_topic=self._topics.commands,
            resized=self._resized,
        )
        membership.is_paused = self._is_paused
        return membership
