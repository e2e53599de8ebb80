"""What tests of views are written with: given these events, when they are folded, then these are the rows."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from queue import SimpleQueue
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, select

from domain import events as e
from domain.recorded import AnyEvent, LoggedEvent, OperationCause, RecordedEvent
from domain.revision import Revision
from domain.routes import RouteStatus, TerminationReason
from projections.catalogue import VIEWS
from projections.runner import ProjectionRunner
from projections.view import View

NOW = datetime(2026, 3, 1, 12, 0, 0, 250000, tzinfo=UTC)
CHAT = UUID("0198c0de-0000-4000-8000-00000000000a")
SEARCH = UUID("0198c0de-0000-4000-8000-00000000000b")
SOMEBODY = UUID("0198c0de-0000-4000-8000-000000000001")
REVISION = Revision(
    revision_id=UUID("0198c0de-0000-4000-8000-000000000002"), image="registry.example/vllm:1", model="llama"
)

#: After how long a test gives up on being read (seconds).
_READ_WITHIN = 30

#: All rows of some tables, by table, in the order of their keys.
AllRows = Mapping[str, Sequence[Mapping[str, Any]]]


class MemoryLog:
    """A log that is a list; ``reads`` tells who is interested from which position on it was read."""

    def __init__(self, events: Sequence[LoggedEvent] = ()) -> None:
        self.events = list(events)
        self.reads: SimpleQueue[int] = SimpleQueue()

    async def read(self, *, after: int, limit: int) -> Sequence[LoggedEvent]:
        return self.read_blocking(after=after, limit=limit)

    def read_blocking(self, *, after: int, limit: int) -> Sequence[LoggedEvent]:
        self.reads.put_nowait(after)
        return [logged for logged in self.events if logged.position > after][:limit]

    def append(self, *events: AnyEvent, to: UUID = CHAT) -> int:
        """Let events happen to a deployment; gives the position of the last one. Positions go by tens."""
        cause = OperationCause(operation="test")
        for event in events:
            version = sum(logged.recorded.stream_id == to for logged in self.events) + 1
            recorded = RecordedEvent(stream_id=to, version=version, cause=cause, event=event)
            self.events.append(LoggedEvent(10 * (len(self.events) + 1), recorded))
        return self.head

    async def is_read_from(self, position: int) -> None:
        """Wait until somebody has come so far."""
        while await asyncio.to_thread(self.reads.get, timeout=_READ_WITHIN) != position:
            pass

    @property
    def head(self) -> int:
        """The position of the last event."""
        return self.events[-1].position if self.events else 0


def log_of(*events: AnyEvent, to: UUID = CHAT) -> MemoryLog:
    """A log in which just this has happened to a deployment."""
    log = MemoryLog()
    log.append(*events, to=to)
    return log


async def fold(engine: Engine, *events: AnyEvent) -> None:
    """Fold what has happened to one deployment into all views."""
    await ProjectionRunner(engine, VIEWS, log_of(*events)).catch_up()


def all_rows(engine: Engine, views: Sequence[View] = VIEWS) -> AllRows:
    """Everything that the views hold."""
    with engine.connect() as connection:
        return {
            table.name: [dict(row) for row in connection.execute(select(table).order_by(*table.primary_key)).mappings()]
            for view in views
            for table in view.tables
        }


def after(seconds: float) -> datetime:
    """So many seconds after :data:`NOW`."""
    return NOW + timedelta(seconds=seconds)


def route(number: int) -> UUID:
    """The id of a route."""
    return UUID(int=(0xF << 64) + number)


def created(deployment_id: UUID = CHAT, *, name: str = "chat", replicas: int = 2) -> e.DeploymentCreated:
    """A deployment began."""
    return e.DeploymentCreated(
        at=NOW,
        deployment_id=deployment_id,
        deployment_name=name,
        resource_group="gpu",
        domain="research",
        project=SOMEBODY,
        owner=SOMEBODY,
        open_to_public=True,
        replica_count=replicas,
        digest="d" * 64,
    )


def revision_set() -> e.TargetRevisionSet:
    """It is known what the deployment runs."""
    return e.TargetRevisionSet(at=after(1), revision=REVISION)


def registered(seconds: float = 2) -> e.EndpointRegistered:
    """The proxy serves the deployment."""
    return e.EndpointRegistered(at=after(seconds), url="https://chat.example/")


def scaled_out(*numbers: int, seconds: float = 3) -> e.ScaledOut:
    """Routes were made."""
    ids = tuple(map(route, numbers))
    return e.ScaledOut(at=after(seconds), route_ids=ids, revision_id=REVISION.revision_id, traffic_ratio=1.0)


def reported(status: RouteStatus, *numbers: int, seconds: float = 4, detail: str = "") -> e.RouteStatusReported:
    """Routes were reported with a status."""
    changes = tuple(
        e.RouteStatusChange(route_id=route(number), previous=RouteStatus.PROVISIONING, status=status, detail=detail)
        for number in numbers
    )
    return e.RouteStatusReported(at=after(seconds), changes=changes, start_failures=0, scale_out_not_before=None)


def terminating(*numbers: int, seconds: float = 5) -> e.RoutesTerminating:
    """Routes are to be taken away."""
    ids = tuple(map(route, numbers))
    return e.RoutesTerminating(at=after(seconds), route_ids=ids, reason=TerminationReason.SCALE_IN)
