"""What the event log needs of a recorder, whichever database it stands on."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from eventsourcing.persistence import Notification, StoredEvent

from adapters.event_store.mapper import StoredRow
from domain.audit.commit_times import CommitTime
from domain.autoscaling.record import EvaluationRecord
from handlers.ports import DueWork, LogBatch, Outcome, Position, Retained, SampleReport
from handlers.records import PartitionId


class LogRecorder(Protocol):
    """A recorder of the eventsourcing library that commits a whole batch and answers for what commits with it."""

    def create_table(self) -> None: ...

    def insert_batch(self, stored: Sequence[StoredEvent], batch: LogBatch) -> Sequence[int]:
        """Write all of the batch in one transaction and give the positions of its events."""
        ...

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]: ...

    def select_many(self, originator_ids: Sequence[UUID]) -> Sequence[StoredEvent]:
        """All events of some hundreds of streams, one stream after the other, each in order."""
        ...

    def select_stream(self, originator_id: UUID) -> Sequence[Notification]: ...

    def select_rows(self, after: int, limit: int) -> Sequence[StoredRow]:
        """Rows behind position ``after``, in order, as they stand there: also what is no event."""
        ...

    def max_notification_id(self) -> int | None: ...

    def select_positions(self, origins: Collection[PartitionId]) -> Mapping[PartitionId, Position]: ...

    def select_due(self, partitions: Collection[int], of: int, until: datetime) -> Sequence[DueWork]: ...

    def select_scaling(self, partitions: Collection[int], of: int) -> Sequence[UUID]: ...

    def select_samples(
        self, deployments: Sequence[UUID], since: datetime, limit: int
    ) -> Mapping[UUID, Sequence[SampleReport]]:
        """At most ``limit`` reports of each of some hundreds of deployments, the newest, oldest first."""
        ...

    def select_samples_between(
        self, deployment: UUID, since: datetime, until: datetime, limit: int
    ) -> Sequence[SampleReport]:
        """The first reports that end at or after ``since`` and were received before ``until``, oldest first."""
        ...

    def select_evaluations_between(
        self, deployment: UUID, since: datetime, until: datetime, limit: int
    ) -> Sequence[EvaluationRecord]:
        """The first evaluations from ``since`` to before ``until``, and the last before that holds memories."""
        ...

    def select_evaluations(
        self, deployments: Sequence[UUID], since: datetime
    ) -> Mapping[UUID, Sequence[EvaluationRecord]]:
        """The evaluations of some hundreds of deployments, oldest first; see the port."""
        ...

    def prune(self, what: Retained, before: datetime, limit: int) -> int:
        """Delete at most ``limit`` rows that are older than ``before``, and say so, in one transaction."""
        ...

    def select_horizons(self) -> Mapping[Retained, datetime]: ...

    def select_outcomes(self, commands: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], Outcome]:
        """What became of some hundreds of commands, by (source, id)."""
        ...

    def select_commits(self, first: int, last: int) -> Sequence[CommitTime]:
        """Commits in order, from the last one before position ``first`` to the first one that reaches ``last``."""
        ...

    def select_last_commit(self) -> int:
        """The position up to which the last commit reaches (0: there is none)."""
        ...

    def select_position_at(self, moment: datetime) -> int: ...

    def select_follower(self, name: str) -> int: ...

    def move_follower(self, name: str, expected: int, following: int) -> bool:
        """Compare-and-set of a follower's position; ``False`` if it was not ``expected``."""
        ...
