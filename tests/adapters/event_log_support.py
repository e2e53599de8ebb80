"""What the contracts of event stores are written with: a store to open logs on, and small batches."""

from collections.abc import Awaitable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol
from uuid import UUID, uuid4

import pytest

from adapters.event_store.event_log import RecorderEventLog
from domain.events import CommandHadNoEffect
from domain.recorded import OperationCause, RecordedEvent
from handlers.ports import CommandOutcome, DueWork, EventLogError, Outcome, PositionMove
from handlers.records import PartitionId

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
FAR_FUTURE = datetime(2100, 1, 1, tzinfo=UTC)
P0, P1, P2 = (PartitionId("commands", "epoch-1", number) for number in range(3))


class LogStore(Protocol):
    """One event store, on which several logs can be opened, and a look behind the logs' backs."""

    def open(self, *, max_event_bytes: int = 512 * 1024) -> RecorderEventLog:
        """Open one more log on the same store; the store closes it in the end."""
        ...

    def plant_event(self, stream_id: UUID, version: int, topic: str, state: bytes) -> None:
        """Put a row into the table of events."""
        ...

    def plant_commit(self, position: int, at: datetime) -> None:
        """Say that everything up to ``position`` was committed at ``at``."""
        ...

    def outcomes(self) -> Mapping[tuple[str, str], str]:
        """All outcomes by source and id."""
        ...

    def keep_appending(self) -> Sequence[str]:
        """The command line of a process that runs :mod:`tests.adapters.append_until_killed` on this store."""
        ...


def event(stream_id: UUID, version: int, text: str = "") -> RecordedEvent:
    """A small event; ``text`` makes it longer."""
    what = CommandHadNoEffect(at=AT, command="create", reason=text)
    return RecordedEvent(stream_id, version, OperationCause(operation="test"), what)


def events(count: int, stream_id: UUID | None = None) -> list[RecordedEvent]:
    """The first ``count`` events of a stream."""
    stream_id = stream_id or uuid4()
    return [event(stream_id, version) for version in range(1, count + 1)]


def move(origin: PartitionId, expected: int | None, following: int) -> PositionMove:
    """A step of a partition's position; the digest tells which."""
    return PositionMove(origin=origin, expected=expected, next=following, digest=f"digest-of-{following - 1}")


def outcome(id: str, source: str = "console") -> CommandOutcome:  # noqa: A002 - CloudEvents' own name
    """A command was accepted."""
    return CommandOutcome(source, id, Outcome.ACCEPTED)


def due(
    deployment_id: UUID, version: int, due_at: datetime | None = AT, place: int = 0, *, scales: bool = False
) -> DueWork:
    """A deployment is due."""
    return DueWork(deployment_id=deployment_id, hash=place, due_at=due_at, version=version, scales=scales)


async def error_of(call: Awaitable[object]) -> EventLogError:
    """The log's refusal."""
    with pytest.raises(EventLogError) as caught:
        await call
    return caught.value


async def due_ids(log: RecorderEventLog, until: datetime = AT) -> list[UUID]:
    """Who is due in any partition."""
    return [work.deployment_id for work in await log.due_work(partitions=[0], of=1, until=until)]


class LogFixtures:
    @pytest.fixture
    def log(self, store: LogStore) -> Iterator[RecorderEventLog]:
        log = store.open()
        yield log
        log.close()
