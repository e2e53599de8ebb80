"""What surrounds a simulated worker: Kafka, the app proxy, the log, and a runtime. All of them outlive any worker."""

import asyncio
import json as json_module
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ParamSpec, TypeVar
from uuid import UUID

from adapters.event_store.event_log import RecorderEventLog
from handlers.ports import DeadLettersUnavailable, LogBatch, LogUnavailable
from handlers.records import PartitionId, ReceivedRecord, Refusal
from tests.handlers.fault_plan import Plan

P = ParamSpec("P")
R = TypeVar("R")


class Killed(BaseException):
    """The worker's process is gone: nothing that it does has an effect any more."""


class Process:
    """A worker's process, as far as it can be killed."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.is_dead = False
        self.ended = asyncio.Event()

    def kill(self) -> None:
        """End it at this instruction."""
        self.is_dead = True
        self.ended.set()

    def crash(self, fault: str) -> None:
        """End it here if the plan says so."""
        self.check()
        if self.plan.strikes(fault):
            self.kill()
            raise Killed

    def check(self) -> None:
        """Whoever touches the outside must still be alive."""
        if self.is_dead:
            raise Killed


class SimulatedLog(RecorderEventLog):
    """The real log without threads, so that a seed always gives the same schedule; it fails as the plan says."""

    def __init__(
        self,
        inner: RecorderEventLog,
        process: Process,
        *,
        is_away: Callable[[], bool] = lambda: False,
        on_append: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(inner._recorder, inner._mapper, close=lambda: None)
        self._process = process
        self._is_away = is_away
        self._on_append = on_append

    async def append(self, batch: LogBatch) -> Sequence[int]:
        plan = self._process.plan
        await asyncio.sleep(plan.random.random() * 0.01)
        self._process.crash("crash_before_append")
        if plan.strikes("append_away"):
            raise LogUnavailable("away for this append")
        positions = await super().append(batch)
        self._on_append()
        self._process.crash("crash_after_append")
        if plan.strikes("answer_lost"):
            raise LogUnavailable("the answer was lost")
        return positions

    async def _run(self, pool: ThreadPoolExecutor, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        await asyncio.sleep(0)
        self._process.check()
        if self._is_away():
            raise LogUnavailable("away for a while")
        return call(*args, **kwargs)


@dataclass
class Kafka:
    """Partitions with their records, which know nothing of who has read how far; ``news`` is set by new records."""

    records: dict[PartitionId, list[ReceivedRecord]] = field(default_factory=dict)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def produce(self, origin: PartitionId, key: bytes, value: bytes, now: datetime, *, gap: int = 0) -> ReceivedRecord:
        """Append a record, ``gap`` offsets further than need be."""
        record = ReceivedRecord(origin=origin, offset=self.end(origin) + gap, key=key, value=value, received_at=now)
        self.records.setdefault(origin, []).append(record)
        self.news.set()
        self.news = asyncio.Event()
        return record

    def end(self, origin: PartitionId) -> int:
        """The offset behind the last record."""
        records = self.records.get(origin)
        return records[-1].offset + 1 if records else 0

    def fetch(self, origin: PartitionId, offset: int, limit: int) -> list[ReceivedRecord]:
        """Records from ``offset`` on."""
        return [record for record in self.records.get(origin, ()) if record.offset >= offset][:limit]


@dataclass
class DeadLetterTopic:
    """Keeps what was refused."""

    plan: Plan
    sent: list[tuple[ReceivedRecord, Refusal]] = field(default_factory=list)

    async def send(self, refused: Sequence[tuple[ReceivedRecord, Refusal]]) -> None:
        await asyncio.sleep(0)
        if self.plan.strikes("dead_letters_away"):
            raise DeadLettersUnavailable("away")
        self.sent += refused


@dataclass(frozen=True)
class Answer:
    """What the proxy answers."""

    status_code: int
    content: bytes


@dataclass
class SimulatedProxy:
    """Holds endpoints. A call goes on here whatever becomes of its client, and may take effect long after it."""

    plan: Plan
    endpoints: dict[UUID, str] = field(default_factory=dict)
    under_way: set["asyncio.Task[Answer]"] = field(default_factory=set)
    creates: int = 0

    def call(self, method: str, endpoint_id: UUID) -> "asyncio.Task[Answer]":
        """Begin to serve a call."""
        task = asyncio.get_running_loop().create_task(self._serve(method, endpoint_id))
        self.under_way.add(task)
        task.add_done_callback(self.under_way.discard)
        return task

    async def _serve(self, method: str, endpoint_id: UUID) -> Answer:
        plan, seconds = self.plan, self.plan.random.uniform
        await asyncio.sleep(seconds(0.01, 0.3))
        if plan.strikes("busy"):
            return Answer(503, b"{}")
        if plan.strikes("error_no_effect"):
            return Answer(500, b"{}")
        if plan.strikes("late_effect"):
            await asyncio.sleep(seconds(1, 49))
        answer = self._apply(method, endpoint_id)
        await asyncio.sleep(seconds(0, 0.2))
        return Answer(500, b"{}") if plan.strikes("effect_then_error") else answer

    def _apply(self, method: str, endpoint_id: UUID) -> Answer:
        if method == "POST":
            self.creates += endpoint_id not in self.endpoints
            url = self.endpoints.setdefault(endpoint_id, f"http://proxy/{self.creates}")
            return Answer(200, json_module.dumps({"success": True, "endpoint": url}).encode())
        return Answer(200 if self.endpoints.pop(endpoint_id, None) else 404, b"{}")


class SimulatedSession:
    """One worker's way to the proxy, in the place of an HTTP client."""

    def __init__(self, proxy: SimulatedProxy, process: Process) -> None:
        self._proxy = proxy
        self._process = process

    def load_client_session(self) -> "SimulatedSession":
        return self

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        json: Any = None,  # noqa: ANN401 - as the port has it
        timeout: float | None = None,  # noqa: ASYNC109 - as the port has it
    ) -> Answer:
        self._process.crash("crash_before_call")
        answer = await asyncio.shield(self._proxy.call(method, UUID(url.rpartition("/")[2])))
        self._process.crash("crash_after_call")
        return answer


def of_topic(topic: str, partitions: Collection[int]) -> list[PartitionId]:
    """Partitions of a topic by their numbers."""
    return [PartitionId(topic, "1", number) for number in sorted(partitions)]
