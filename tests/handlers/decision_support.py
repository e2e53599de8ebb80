"""What tests of deciding share: a decider on a real log that can be told to fail, records, and a second writer."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Final
from uuid import UUID

from adapters.event_store.event_log import RecorderEventLog, open_sqlite_log
from domain import commands as c
from domain.autoscaling.samples import MetricsReport
from domain.limits import DecisionLimits
from domain.recorded import LoggedEvent
from handlers.backoff import Backoff
from handlers.commit import Commit
from handlers.decider import Decider
from handlers.decider_limits import DeciderLimits
from handlers.draft import DecisionContext
from handlers.ownership import Ownership
from handlers.ports import LogBatch, PositionMove
from handlers.records import CommandRecord, PartitionId, ReceivedRecord, Refusal, SamplesRecord, Sender
from handlers.submission import Decided, RecordItem, Submission

AT: Final = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
P0, P1 = (PartitionId("commands", "epoch-1", number) for number in range(2))
PROJECT, OWNER = UUID(int=1), UUID(int=2)

Content = c.ExternalCommand | MetricsReport | Refusal


def place(deployment_id: UUID) -> int:
    """Stands for the partitioner: the last digit of the id is the partition."""
    return deployment_id.int % 16


def deployment(number: int, partition: int = 0) -> UUID:
    """The id of a deployment that belongs to ``partition``."""
    return UUID(int=number * 16 + partition)


def create(deployment_id: UUID, replicas: int = 1) -> c.CreateDeployment:
    """Begin a deployment."""
    return c.CreateDeployment(
        deployment_id=deployment_id,
        name="llama",
        resource_group="gpu",
        domain="default",
        project=PROJECT,
        owner=OWNER,
        replica_count=replicas,
    )


def set_count(deployment_id: UUID, replicas: int) -> c.SetReplicaCount:
    """Set a deployment's number of replicas."""
    return c.SetReplicaCount(deployment_id=deployment_id, replica_count=replicas)


def item(
    origin: PartitionId,
    offset: int,
    content: Content,
    *,
    id: str | None = None,  # noqa: A002 - CloudEvents' own name
    source: str = "console",
) -> RecordItem:
    """A record that was read and understood; its id is its own unless given."""
    record = ReceivedRecord(origin=origin, offset=offset, key=b"key", value=f"value {offset}".encode(), received_at=AT)
    sender = Sender(source=source, id=id or f"{origin.partition}/{offset}", type="some-command", actor="operator")
    match content:
        case Refusal():
            return RecordItem(record, content)
        case MetricsReport():
            return RecordItem(record, SamplesRecord(content, sender))
        case _:
            return RecordItem(record, CommandRecord(content, sender))


def reading(expected: int | None, *items: RecordItem) -> Submission:
    """Records that were read from where ``expected`` says."""
    last = items[-1].record
    move = PositionMove(origin=last.origin, expected=expected, next=last.offset + 1, digest=last.digest)
    return Submission(items, [move], asyncio.get_running_loop().create_future())


class ScriptedLog(RecorderEventLog):
    """The real log; ``failures`` are raised instead of the next appends, ``lost_answers`` after they took effect.

    ``fail_tries`` are failures by the number of the try, from 1.
    ``tried`` and ``committed`` hold the batches. While ``open_gate`` is not set, appends wait.
    """

    def __init__(self, inner: RecorderEventLog) -> None:
        super().__init__(inner._recorder, inner._mapper, close=inner.close)
        self.failures: list[Exception] = []
        self.lost_answers: list[Exception] = []
        self.fail_tries: dict[int, Exception] = {}
        self.before_try: Callable[[], None] = lambda: None
        self.tried: list[LogBatch] = []
        self.committed: list[LogBatch] = []
        self.open_gate = asyncio.Event()
        self.open_gate.set()
        self.waiting = asyncio.Event()

    async def append(self, batch: LogBatch) -> Sequence[int]:
        self.tried.append(batch)
        self.before_try()
        self.waiting.set()
        await self.open_gate.wait()
        if self.failures:
            raise self.failures.pop(0)
        if failure := self.fail_tries.get(len(self.tried)):
            raise failure
        positions = await super().append(batch)
        self.committed.append(batch)
        if self.lost_answers:
            raise self.lost_answers.pop(0)
        return positions

    async def events(self) -> Sequence[LoggedEvent]:
        """Everything in the log."""
        return await self.read(after=0, limit=10_000)


@dataclass
class KeptDeadLetters:
    """Keeps what was refused; ``failures`` are raised first."""

    sent: list[tuple[ReceivedRecord, Refusal]] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)

    async def send(self, refused: Sequence[tuple[ReceivedRecord, Refusal]]) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.sent += refused

    @property
    def offsets(self) -> list[int]:
        """The offsets of the records that were sent."""
        return [record.offset for record, _ in self.sent]


class DecidingWorker:
    """A decider that runs, with all that it needs; it owns partitions 0 and 1 unless told otherwise."""

    def __init__(self, log: RecorderEventLog, limits: DeciderLimits | None = None) -> None:
        self.log = ScriptedLog(log)
        self.dead_letters = KeptDeadLetters()
        self.ownership = Ownership("commands", 16, place)
        self.ownership.gain([P0, P1])
        self.commits: list[Commit] = []
        self.now = AT
        numbers = count(1)
        context = DecisionContext(
            limits=DecisionLimits(), new_id=lambda: UUID(int=2**64 + next(numbers)), partition_hash=place
        )
        self.decider = Decider(
            self.log,
            self.dead_letters,
            context,
            ownership=self.ownership,
            clock=lambda: self.now,
            limits=limits or decider_limits(),
        )
        self.decider.listen(self.commits.append)
        self.running = asyncio.create_task(self.decider.run())

    async def submit(self, *submissions: Submission) -> list[Sequence[Decided]]:
        """Have them decided at the same time and give each one's answer."""
        return list(await asyncio.gather(*map(self.decider.submit, submissions)))

    async def hold(self) -> "asyncio.Future[Sequence[Decided]]":
        """Have the decider wait for the log with a commit of its own, so that what follows piles up behind it."""
        self.log.open_gate.clear()
        self.log.waiting.clear()
        occupied = asyncio.ensure_future(self.decider.execute([create(deployment(9999))], "test"))
        await self.log.waiting.wait()
        return occupied

    async def let_one_pass(self, held: "asyncio.Future[Sequence[Decided]]") -> None:
        """Let the commit that waits be done, and wait until the next one waits."""
        self.log.waiting.clear()
        self.log.open_gate.set()
        await asyncio.sleep(0)
        self.log.open_gate.clear()
        await held
        await self.log.waiting.wait()

    async def submit_behind(self, *submissions: Submission) -> list[Sequence[Decided] | BaseException]:
        """Have them decided in one batch, and give each one's answer or error."""
        occupied = await self.hold()
        answers = asyncio.gather(*map(self.decider.submit, submissions), return_exceptions=True)
        await asyncio.sleep(0)
        self.log.open_gate.set()
        await occupied
        return await answers

    async def stop(self) -> None:
        """End the decider and let go of the log."""
        self.running.cancel()
        with suppress(asyncio.CancelledError):
            await self.running
        self.log.close()


def decider_limits(
    *,
    batch_size: int = 200,
    cached_deployments: int = 1000,
    queued_submissions: int = 1000,
    conflict_attempts: int = 3,
) -> DeciderLimits:
    """Limits that wait for nothing."""
    return DeciderLimits(
        batch_size=batch_size,
        cached_deployments=cached_deployments,
        queued_submissions=queued_submissions,
        conflict_attempts=conflict_attempts,
        unavailable_backoff=Backoff(base=0.0001, cap=0.0001),
    )


def second(log: RecorderEventLog) -> RecorderEventLog:
    """Another log on the same store, as another worker has it."""
    return RecorderEventLog(log._recorder, log._mapper, close=lambda: None)


def new_log(*, max_event_bytes: int = 512 * 1024) -> RecorderEventLog:
    """A log in memory."""
    return open_sqlite_log(":memory:", max_event_bytes=max_event_bytes)


def refusal(code: str = "invalid-json") -> Refusal:
    """Why a record was not understood."""
    return Refusal(code=code, reason="expected value at line 1", field="data.replica_count", value="'many'")


def later(seconds: float) -> datetime:
    """A moment after :data:`AT`."""
    return AT + timedelta(seconds=seconds)
