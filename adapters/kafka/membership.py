"""One stay in the consumer group: from joining until stopping, losing the broker, or an error."""

import asyncio
import logging
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import NoOffsetForPartitionError, OffsetOutOfRangeError

from adapters.kafka.consumer_settings import ConsumerSettings
from adapters.kafka.offset_reports import OffsetReports
from adapters.kafka.partition_starts import PartitionStarts
from adapters.kafka.stoppable import unless_stopped, wait_for_event
from handlers.consumption import PartitionsHalted, RecordHandler
from handlers.ports import DeadLettersUnavailable, LogUnavailable, PositionConflict
from handlers.records import PartitionId

log = logging.getLogger(__name__)

Batch = Mapping[TopicPartition, Sequence[ConsumerRecord]]

#: How often somebody who waits for a batch to be committed looks whether reading was paused (seconds).
_LOOK_SECONDS = 1.0

_STORE_IN_TROUBLE = (PositionConflict, LogUnavailable, DeadLettersUnavailable)


class Membership(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka has no types
    """Reads what is assigned and hands it over.

    aiokafka tells of a changed assignment in a task of its own; here that only leaves a note, and partitions are
    prepared between two batches. So the handler is called by one task at a time.
    """

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        handler: RecordHandler,
        *,
        epoch: str,
        low_priority_topics: Collection[str],
        settings: ConsumerSettings,
        clock: Callable[[], datetime],
        random: Callable[[], float],
        counted_topic: str,
        resized: Callable[[int], None],
    ) -> None:
        self.has_handled = False
        self.is_paused = False
        self.has_joined = False
        self.halted: dict[PartitionId, str] = {}
        self._consumer = consumer
        self._handler = handler
        self._epoch = epoch
        self._low_priority_topics = frozenset(low_priority_topics)
        self._settings = settings
        self._starts = PartitionStarts(consumer, clock=clock, confirm_within=settings.confirm_within)
        self._random = random
        self._counted_topic = counted_topic
        self._resized = resized
        self._reports = OffsetReports(consumer, interval=settings.commit_interval)
        self._held: frozenset[TopicPartition] = frozenset()
        self._unprepared: frozenset[TopicPartition] = frozenset()
        self._generation = 0
        self._taken_away = asyncio.Event()
        self._failures = 0
        self._in_hand: dict[TopicPartition, int] = {}
        self._work: asyncio.Task[None] | None = None
        self._revoking: asyncio.Task[None] | None = None

    @property
    def reading(self) -> frozenset[PartitionId]:
        """The partitions that are being read."""
        return frozenset(self._origins(self._held - self._unprepared))

    @property
    def is_prepared(self) -> bool:
        """Whether all that is assigned is being read."""
        return not self._unprepared

    async def lags(self) -> Mapping[PartitionId, int]:
        """How many records of each partition are not committed yet. Raises aiokafka's ``KafkaError``."""
        held = self._origins(self._held - self._unprepared)
        ends = await self._consumer.end_offsets(list(held.values())) if held else {}
        positions = {partition: await self._consumer.position(partition) for partition in held.values()}
        return {
            origin: max(0, ends[partition] - self._in_hand.get(partition, positions[partition]))
            for origin, partition in held.items()
        }

    async def run(self, topics: Collection[str], stop: asyncio.Event) -> None:
        """Join, and read until ``stop``. Raises aiokafka's ``KafkaError`` where the broker is lost for good."""
        self._consumer.subscribe(topics, listener=self)
        try:
            await unless_stopped(stop, self._consumer.start())
            while not stop.is_set():
                await self._turn(stop)
        finally:
            await self._leave()

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:  # noqa: ARG002 - it is all of them
        """Finish what is being handled, for a bounded time, and let go of everything."""
        self._generation += 1
        self.has_joined = False
        self._unprepared = frozenset()
        self._taken_away.set()
        await self._finish_work()
        await self._let_go()

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Leave a note; the reading task prepares the partitions."""
        self._generation += 1
        self._unprepared = frozenset(assigned)
        self.has_joined = True
        self._taken_away.clear()

    async def _turn(self, stop: asyncio.Event) -> None:
        """Prepare partitions that are new, or read and hand over one batch."""
        if self._revoking is not None and self._revoking.done():
            self._revoking.result()  # aiokafka only logs what its listener raises
        if partitions := self._consumer.partitions_for_topic(self._counted_topic):
            self._resized(len(partitions))
        generation = self._generation
        if self._unprepared:
            await self._do(self._prepare(self._unprepared, stop), stop)
            return
        batch = await unless_stopped(stop, self._poll(stop))
        if batch and generation == self._generation:
            await self._do(self._hand_over(batch, stop), stop)

    async def _do(self, work: Coroutine[Any, Any, None], stop: asyncio.Event) -> None:
        self._work = asyncio.create_task(work)
        stopped = asyncio.create_task(stop.wait())
        try:
            patience = min(_LOOK_SECONDS, self._settings.max_poll_interval / 3)
            waiting, first = {self._work, stopped}, asyncio.FIRST_COMPLETED
            while not (await asyncio.wait(waiting, timeout=patience, return_when=first))[0]:
                if self.is_paused:
                    await unless_stopped(stop, self._stay())
        finally:
            stopped.cancel()
            await self._finish_work()
        if not self._work.cancelled():
            self._work.result()

    async def _stay(self) -> None:
        """Ask for nothing, which tells the client library that this member is alive while its records wait."""
        self._apply_pause()
        with suppress(NoOffsetForPartitionError, OffsetOutOfRangeError):  # the next real look meets them again
            await self._consumer.getmany(timeout_ms=0)

    async def _finish_work(self) -> None:
        if self._work is None or self._work.done():
            return
        await asyncio.wait({self._work}, timeout=self._settings.revocation_grace)
        if not self._work.done():
            log.warning(
                "gave up on records that took longer than %g s to finish, they are read again",
                self._settings.revocation_grace,
                extra={"action": "abandon-batch"},
            )
            self._work.cancel()
            await asyncio.wait({self._work}, timeout=self._settings.revocation_grace)

    async def _let_go(self) -> None:
        origins, self._held = self._origins(self._held), frozenset()
        self._starts.forget()
        self._reports.forget()
        self.halted.clear()
        self._in_hand = {}
        if origins:
            self._revoking = asyncio.create_task(self._handler.revoked(list(origins)))
            await asyncio.wait({self._revoking})

    async def _prepare(self, partitions: frozenset[TopicPartition], stop: asyncio.Event) -> None:
        """Seek to the stored positions, one record early where that record is still there to be compared."""
        origins = self._origins(partitions)
        self._held |= partitions
        try:
            positions = await self._handler.assigned(list(origins))
        except LogUnavailable as error:
            await self._back_off(error, stop)
            return
        await self._starts.seek(origins, positions)
        self._unprepared -= partitions

    async def _poll(self, stop: asyncio.Event) -> Batch:
        """Read what is there, commands before metrics; wait a little if there is nothing."""
        self._apply_pause()
        urgent = [partition for partition in self._held if partition.topic not in self._low_priority_topics]
        patient = [partition for partition in self._held if partition.topic in self._low_priority_topics]
        room = self._settings.max_records
        batch: dict[TopicPartition, Sequence[ConsumerRecord]] = {}
        try:
            if urgent:
                batch |= await self._consumer.getmany(*urgent, max_records=max(1, room - room // 10))
            room -= sum(map(len, batch.values()))
            if patient and room:
                batch |= await self._consumer.getmany(*patient, max_records=room)
            return batch or await self._consumer.getmany(
                timeout_ms=int(self._settings.max_wait * 1000), max_records=room
            )
        except NoOffsetForPartitionError:
            # aiokafka looks for a committed offset as soon as a partition is assigned; ours come from the handler.
            return {}
        except OffsetOutOfRangeError as error:
            self._unprepared = self._held
            await self._back_off(error, stop)
            return {}

    def _apply_pause(self) -> None:
        resting = self._held
        if not self.is_paused:
            resting = frozenset(p for origin, p in self._origins(self._held).items() if origin in self.halted)
        self._consumer.pause(*resting)
        self._consumer.resume(*(self._consumer.paused() - resting))

    async def _hand_over(self, batch: Batch, stop: asyncio.Event) -> None:
        records = []
        for partition, read in batch.items():
            records += self._starts.received(self._origin(partition), partition, read)
        if not records:
            return
        self._in_hand |= {partition: read[0].offset for partition, read in batch.items()}
        try:
            await self._handler.handle(records)
        except PartitionsHalted as error:
            self._halt(error)
            self._done({p: read for p, read in batch.items() if self._origin(p) not in {*error.reasons, *error.lost}})
        except _STORE_IN_TROUBLE as error:
            self._read_again(batch.keys())
            await self._back_off(error, stop)
        else:
            self._failures = 0
            self._done(batch)

    def _done(self, batch: Batch) -> None:
        """All these are committed."""
        self.has_handled = True
        self._forget_in_hand(batch)
        self._reports.report({partition: read[-1].offset + 1 for partition, read in batch.items()})

    def _halt(self, error: PartitionsHalted) -> None:
        """Let partitions rest until they are assigned anew, to this version or to a later one."""
        self.halted |= error.reasons
        self._read_again({p for origin, p in self._origins(self._held).items() if origin in error.lost})
        log.error("partitions are not read on: %s", error, extra={"action": "halt-partitions"})

    def _read_again(self, partitions: Collection[TopicPartition]) -> None:
        """Ask for the stored positions again; where these are, nothing is in hand."""
        self._unprepared |= frozenset(partitions)
        self._forget_in_hand(partitions)

    def _forget_in_hand(self, partitions: Collection[TopicPartition]) -> None:
        self._in_hand = {key: first for key, first in self._in_hand.items() if key not in partitions}

    async def _back_off(self, error: Exception, stop: asyncio.Event) -> None:
        self._failures += 1
        delay = self._settings.backoff.delay(self._failures, self._random())
        log.warning("records are read again in %.1f s: %s", delay, error, extra={"action": "read-again"})
        await unless_stopped(stop, wait_for_event(self._taken_away, delay))

    async def _leave(self) -> None:
        await self._finish_work()
        await self._reports.close()
        await self._let_go()
        stopping = asyncio.create_task(self._consumer.stop())
        await asyncio.wait({stopping}, timeout=self._settings.revocation_grace)
        # Without a broker aiokafka may cancel its own stop: asking that for its error would raise here.
        has_ended = stopping.done() and not stopping.cancelled()
        error = stopping.exception() if has_ended else TimeoutError("no answer in time")
        if error is not None:
            stopping.cancel()
            log.warning("the consumer group was not left cleanly: %r", error, extra={"action": "leave-group"})
        if self._revoking is not None:
            self._revoking.result()

    def _origins(self, partitions: Collection[TopicPartition]) -> dict[PartitionId, TopicPartition]:
        return {self._origin(partition): partition for partition in sorted(partitions)}

    def _origin(self, partition: TopicPartition) -> PartitionId:
        return PartitionId(partition.topic, self._epoch, partition.partition)
