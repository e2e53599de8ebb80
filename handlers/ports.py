"""What the handlers need from outside: the durable log, and a place for what was refused."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple, Protocol
from uuid import UUID

from domain.autoscaling.record import EvaluationRecord
from domain.autoscaling.samples import MetricSample
from domain.deployment import Deployment
from domain.errors import RoutekeeperError
from domain.recorded import LoggedEvent, RecordedEvent
from handlers.records import PartitionId, ReceivedRecord, Refusal

#: Most sample reports of one deployment that are read at once (count).
REPORTS_PER_DEPLOYMENT: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """How far a partition was read: the ``next`` offset, and the digest of the record before it."""

    next: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionMove:
    """Compare-and-set of a position: it becomes ``next`` only if it still is ``expected`` (``None``: not there yet)."""

    origin: PartitionId
    expected: int | None
    next: int
    digest: str


class Outcome(StrEnum):
    """What became of a command."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"


class CommandOutcome(NamedTuple):
    """The one outcome of the command that ``source`` calls ``id``."""

    source: str
    id: str
    outcome: Outcome


class DueWork(NamedTuple):
    """When a deployment is due; ``due_at`` is ``None`` if it is not. ``hash`` places it in a partition.

    ``scales``: it has rules that may be evaluated.
    """

    deployment_id: UUID
    hash: int
    due_at: datetime | None
    version: int
    scales: bool = False

    @property
    def is_kept(self) -> bool:
        """Whether there is anything to remember of it."""
        return self.due_at is not None or self.scales


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleReport:
    """Measurements of a deployment that came together; nothing else is kept of the record that brought them."""

    deployment_id: UUID
    received_at: datetime
    samples: Sequence[MetricSample]


@dataclass(frozen=True, slots=True)
class DeploymentEvaluation:
    """One evaluation of a deployment's rules."""

    deployment_id: UUID
    record: EvaluationRecord


class Retained(StrEnum):
    """What is kept beside the events for some time only."""

    SAMPLES = "metric_samples"
    EVALUATIONS = "scaling_evaluations"
    OUTCOMES = "command_outcomes"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogBatch:
    """Everything that becomes true in one transaction.

    ``samples`` and ``evaluations`` need not wait for whoever else appends to the log, and do not where a batch holds
    nothing but them and positions.
    """

    events: Sequence[RecordedEvent] = ()
    positions: Sequence[PositionMove] = ()
    outcomes: Sequence[CommandOutcome] = ()
    due: Sequence[DueWork] = ()
    samples: Sequence[SampleReport] = ()
    evaluations: Sequence[DeploymentEvaluation] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write."""
        written = self.events or self.positions or self.outcomes or self.due or self.samples or self.evaluations
        return not written


class EventLogError(RoutekeeperError):
    """Nothing of the batch was written.

    ::

        EventLogError
         ├── PositionConflict      somebody else has moved a position: this worker is no longer the owner
         ├── VersionConflict       somebody else has written to a stream: load it and decide again
         ├── DuplicateCommands     these commands have an outcome already: decide again without them
         ├── EventTooLarge         an event is larger than the log takes
         ├── UnknownEventType      the log holds an event that this version does not know
         ├── LogDamaged            what stands beside the events is not what anybody writes there
         └── LogUnavailable        the store does not answer now
    """


class PositionConflict(EventLogError):
    """Somebody else has moved a position."""

    def __init__(self, origins: Collection[PartitionId]) -> None:
        super().__init__(f"positions were moved by somebody else: {sorted(origins)}")
        self.origins = frozenset(origins)


class VersionConflict(EventLogError):
    """Somebody else has written to a stream."""


class DuplicateCommands(EventLogError):
    """Commands that have an outcome already."""

    def __init__(self, keys: Collection[tuple[str, str]]) -> None:
        super().__init__(f"{len(keys)} commands have an outcome already")
        self.keys = frozenset(keys)


class EventTooLarge(EventLogError):
    """An event is larger than the log takes."""


class UnknownEventType(EventLogError):
    """The log holds an event whose type, or whose shape, this version does not know.

    ``streams`` says which of those asked for hold one, and which event that is.
    """

    def __init__(self, message: str, streams: Mapping[UUID, str] | None = None) -> None:
        super().__init__(message)
        self.streams = streams or {}


class LogDamaged(EventLogError):
    """A table beside the events holds what nobody writes there, or is none."""


class LogUnavailable(EventLogError):
    """The store does not answer now."""


class DecisionLog(Protocol):
    """The part of the log that deciding needs."""

    async def append(self, batch: LogBatch) -> Sequence[int]:
        """Write all of ``batch`` or nothing; give the positions of its events. Raises :class:`EventLogError`."""
        ...

    async def deployments(self, ids: Collection[UUID]) -> Mapping[UUID, Deployment]:
        """Load deployments by folding their events; ids without events are absent.

        Raises :class:`UnknownEventType`, which names every deployment among ``ids`` that cannot be folded.
        """
        ...

    async def stream_version(self, stream_id: UUID) -> int:
        """The version of the last event in a stream (0: there is none)."""
        ...

    async def stream(self, stream_id: UUID) -> Sequence[LoggedEvent]:
        """All events of one stream in order."""
        ...


class EventLog(DecisionLog, Protocol):
    """The append-only log of everything that happened, and what commits with it."""

    async def positions(self, origins: Collection[PartitionId]) -> Mapping[PartitionId, Position]:
        """How far partitions were read; those never read are absent."""
        ...

    async def due_work(self, *, partitions: Collection[int], of: int, until: datetime) -> Sequence[DueWork]:
        """What is due by ``until`` in the given partitions ``of`` so many, by ``hash % of``."""
        ...

    async def scaling_deployments(self, *, partitions: Collection[int], of: int) -> Sequence[UUID]:
        """Those whose rules may be evaluated in the given partitions ``of`` so many, by ``hash % of``."""
        ...

    async def sample_reports(
        self, ids: Collection[UUID], *, since: datetime, limit: int = REPORTS_PER_DEPLOYMENT
    ) -> Mapping[UUID, Sequence[SampleReport]]:
        """The reports that were received or have a sample at or after ``since``, oldest first; empty ones are absent.

        ``limit`` is for each deployment (count): the newest are given.
        """
        ...

    async def evaluations(self, ids: Collection[UUID], *, since: datetime) -> Mapping[UUID, Sequence[EvaluationRecord]]:
        """The evaluations at or after ``since``, oldest first, and before them the last one that holds memories."""
        ...

    async def prune(self, what: Retained, *, before: datetime, limit: int) -> int:
        """Delete at most ``limit`` rows from ``before`` that moment, in one short transaction; gives how many.

        Evaluations must stay longer than rules remember: :data:`domain.autoscaling.history.MAX_WINDOW`.
        """
        ...

    async def horizons(self) -> Mapping[Retained, datetime]:
        """Before which moments something may be missing; absent is what was never pruned."""
        ...

    async def read(self, *, after: int, limit: int) -> Sequence[LoggedEvent]:
        """At most ``limit`` events behind position ``after``, in log order.

        Ends before an event that is not understood; raises :class:`UnknownEventType` where that is the first one.
        """
        ...

    async def position_at(self, moment: datetime) -> int:
        """The position of the last event that was committed at or before ``moment`` (0: there is none)."""
        ...

    async def head(self) -> int:
        """The position of the last event (0: the log is empty)."""
        ...


class DeadLettersUnavailable(RoutekeeperError):
    """Refused records could not be handed over now."""


class DeadLetters(Protocol):
    """Where refused records go with their raw bytes."""

    async def send(self, refused: Sequence[tuple[ReceivedRecord, Refusal]]) -> None:
        """Hand over refused records; returns when all are safely there. Raises :class:`DeadLettersUnavailable`."""
        ...
