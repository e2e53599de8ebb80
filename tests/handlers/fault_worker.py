"""A simulated worker: the real control plane, a consumer around it, and a process that can be killed."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from adapters.kafka.topics import Topics
from handlers.ports import DeadLetters, DeadLettersUnavailable, EventLog, LogUnavailable, PositionConflict
from handlers.records import PartitionId, ReceivedRecord
from service.bootstrap import assemble
from service.settings import Settings
from tests.handlers.fault_parts import Kafka, Killed, Process, SimulatedSession, of_topic
from tests.handlers.fault_plan import Plan

PARTITIONS = 2
_FETCH = 20

_Order = Callable[[list[PartitionId]], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What a worker is given."""

    settings: Settings
    kafka: Kafka
    log: EventLog
    dead_letters: DeadLetters
    session: SimulatedSession
    clock: Callable[[], datetime]
    targets: Any


class SimulatedWorker:
    """Lives from its making to the end of its process."""

    def __init__(self, process: Process, around: Surroundings) -> None:
        self.process = process
        self.plan: Plan = process.plan
        self._kafka = around.kafka
        self._topics: Topics = around.settings.kafka.topics
        self.plane = assemble(
            around.settings,
            event_log=around.log,
            dead_letters=around.dead_letters,
            client_pool=around.session,
            proxy_targets=around.targets,
            partitions=PARTITIONS,
            clock=around.clock,
            new_id=self.plan.new_id,
            place=lambda deployment_id: deployment_id.int % PARTITIONS,
        )
        self.plane.proxy_calls._monotonic = asyncio.get_running_loop().time
        self._offsets: dict[PartitionId, int] = {}
        self._orders: list[tuple[_Order, list[PartitionId]]] = []
        self._told = asyncio.Event()
        self._handling: asyncio.Task[None] | None = None

    async def live(self) -> None:
        """Work until killed. Raises whatever else ends a part of it: that is a defect."""
        parts: list[Coroutine[Any, Any, None]] = [
            self.plane.decider.run(),
            self.plane.reconciler.run(),
            self._consume(),
        ]
        tasks = [asyncio.create_task(part) for part in parts]
        killed = asyncio.create_task(self.process.ended.wait())
        done, _ = await asyncio.wait([*tasks, killed], return_when=asyncio.FIRST_COMPLETED)
        was_killed = self.process.is_dead
        self.process.kill()
        every = [*tasks, killed, *([self._handling] if self._handling else [])]
        for task in every:
            task.cancel()
        await asyncio.gather(*every, return_exceptions=True)
        if not was_killed:
            await next(iter(done))

    def take(self, partitions: Iterable[int]) -> None:
        """Be assigned partitions of all topics."""
        self._orders.append((self._begin, self._origins(partitions)))
        self._told.set()

    def lose(self, partitions: Iterable[int]) -> None:
        """Have partitions of all topics revoked; what is being handled is cut off or finished, as it comes."""
        self._orders.append((self._let_go, self._origins(partitions)))
        self._told.set()
        if self._handling is not None and self.plan.random.random() < 0.5:
            self._handling.cancel()

    def _origins(self, partitions: Iterable[int]) -> list[PartitionId]:
        numbers = list(partitions)
        return [origin for topic in (self._topics.commands, self._topics.routes) for origin in of_topic(topic, numbers)]

    async def _consume(self) -> None:
        while True:
            news = self._kafka.news
            self._told.clear()
            while self._orders:
                follow, origins = self._orders.pop(0)
                await follow(origins)
            records = self._fetch()
            if records:
                await self._handle(records)
            else:
                waits = [asyncio.ensure_future(event.wait()) for event in (news, self._told)]
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                for wait in waits:
                    wait.cancel()

    async def _begin(self, origins: list[PartitionId]) -> None:
        while True:
            try:
                places = await self.plane.intake.assigned(origins)
            except LogUnavailable:
                await asyncio.sleep(0.2)
            else:
                self._offsets |= {origin: place.next if place else 0 for origin, place in places.items()}
                return

    async def _let_go(self, origins: list[PartitionId]) -> None:
        for origin in origins:
            self._offsets.pop(origin, None)
        await self.plane.intake.revoked(origins)

    def _fetch(self) -> list[ReceivedRecord]:
        records = []
        for origin, offset in self._offsets.items():
            some = self._kafka.fetch(origin, offset, self.plan.random.randint(1, _FETCH))
            records += some
            if some and self.plan.strikes("redelivery"):
                records += some[self.plan.random.randrange(len(some)) :]
        return records

    async def _handle(self, records: list[ReceivedRecord]) -> None:
        origins = list(dict.fromkeys(record.origin for record in records))
        self._handling = asyncio.create_task(self.plane.intake.handle(records))
        await asyncio.wait([self._handling])
        handled, self._handling = self._handling, None
        self.process.check()
        if handled.cancelled():
            await self._begin([origin for origin in origins if origin in self._offsets])
            return
        error = handled.exception()
        if isinstance(error, PositionConflict | LogUnavailable | DeadLettersUnavailable):
            await self._begin(origins)
        elif error is not None:
            raise error
        else:
            self._advance(records)

    def _advance(self, records: list[ReceivedRecord]) -> None:
        for record in records:
            if record.origin in self._offsets:
                self._offsets[record.origin] = max(self._offsets[record.origin], record.offset + 1)
        # Where Kafka's own commit fails nothing is lost: no worker ever asks for it.
        self.plan.strikes("kafka_commit_fails")
        for origin, offset in self._offsets.items():
            if self.plan.strikes("redelivery"):
                self._offsets[origin] = max(0, offset - self.plan.random.randint(1, 5))


async def live(worker: SimulatedWorker) -> None:
    """Let a worker live; being killed is no failure."""
    try:
        await worker.live()
    except Killed:
        return
