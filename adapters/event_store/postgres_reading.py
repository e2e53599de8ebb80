"""What is read of the event store on PostgreSQL."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from eventsourcing.persistence import InterfaceError, Notification, OperationalError, StoredEvent
from eventsourcing.postgres import PostgresProcessRecorder
from eventsourcing.utils import retry
from psycopg.rows import DictRow, args_row

from adapters.event_store.mapper import StoredRow
from adapters.event_store.postgres_datastore import LogDatastore
from adapters.event_store.postgres_scaling import evaluation_of
from adapters.event_store.postgres_tables import LogStatements
from adapters.event_store.scaling_rows import records_by_deployment, reports_by_deployment
from adapters.postgres import arrays
from domain.audit.commit_times import CommitTime
from domain.autoscaling.record import EvaluationRecord
from handlers.ports import DueWork, Outcome, Position, Retained, SampleReport
from handlers.records import PartitionId


class PostgresLogReading(PostgresProcessRecorder):
    """Reads what :class:`~adapters.event_store.postgres.PostgresLogRecorder` writes; a call is one round trip."""

    def __init__(self, datastore: LogDatastore, *, events_table_name: str = "stored_events") -> None:
        super().__init__(datastore, events_table_name=events_table_name)
        self.store = datastore
        self.statements = LogStatements(datastore.schema, events_table_name)

    def select_many(self, originator_ids: Collection[UUID]) -> Sequence[StoredEvent]:
        """All events of many streams, one stream after the other, each in order."""
        return [
            StoredEvent(row["originator_id"], row["originator_version"], row["topic"], row["state"])
            for row in self._rows(self.statements.select_many, [arrays.uuids(originator_ids)])
        ]

    @retry((InterfaceError, OperationalError), max_attempts=2, wait=0.2)
    def select_rows(self, after: int, limit: int) -> Sequence[StoredRow]:
        """Rows behind a position; the columns' types keep out what is no id and no number."""
        with self.store.get_connection() as connection, connection.cursor(row_factory=args_row(StoredRow)) as cursor:
            cursor.execute(self.statements.select_rows, [after, limit], prepare=True, binary=True)
            return cursor.fetchall()

    def select_stream(self, originator_id: UUID) -> Sequence[Notification]:
        """All events of a stream with their positions, in order."""
        return [
            Notification(
                id=row["notification_id"],
                originator_id=originator_id,
                originator_version=row["originator_version"],
                topic=row["topic"],
                state=row["state"],
            )
            for row in self._rows(self.statements.select_stream, [originator_id])
        ]

    def select_positions(self, origins: Collection[PartitionId]) -> Mapping[PartitionId, Position]:
        found = positions_in(self._rows(self.statements.select_positions))
        return {origin: found[origin] for origin in origins if origin in found}

    def select_due(self, partitions: Collection[int], of: int, until: datetime) -> Sequence[DueWork]:
        rows = self._rows(self.statements.select_due, [until, of, list(partitions)])
        return [DueWork(**row) for row in rows]

    def select_scaling(self, partitions: Collection[int], of: int) -> Sequence[UUID]:
        rows = self._rows(self.statements.select_scaling, [of, list(partitions)])
        return [row["deployment_id"] for row in rows]

    def select_samples(
        self, deployments: Sequence[UUID], since: datetime, limit: int
    ) -> Mapping[UUID, Sequence[SampleReport]]:
        rows = self._rows(self.statements.select_samples, [arrays.uuids(deployments), since, limit])
        return reports_by_deployment((row["deployment_id"], row["received_at"], row["samples"]) for row in rows)

    def select_evaluations(
        self, deployments: Sequence[UUID], since: datetime
    ) -> Mapping[UUID, Sequence[EvaluationRecord]]:
        rows = self._rows(self.statements.select_evaluations, [arrays.uuids(deployments), since])
        return records_by_deployment((row["deployment_id"], evaluation_of(row)) for row in rows)

    def select_samples_between(
        self, deployment: UUID, since: datetime, until: datetime, limit: int
    ) -> Sequence[SampleReport]:
        rows = self._rows(self.statements.select_samples_between, [deployment, since, until, limit])
        found = reports_by_deployment((row["deployment_id"], row["received_at"], row["samples"]) for row in rows)
        return found.get(deployment, ())

    def select_evaluations_between(
        self, deployment: UUID, since: datetime, until: datetime, limit: int
    ) -> Sequence[EvaluationRecord]:
        parameters = {"id": deployment, "since": since, "until": until, "limit": limit}
        return [evaluation_of(row) for row in self._rows(self.statements.select_evaluations_between, parameters)]

    def select_horizons(self) -> Mapping[Retained, datetime]:
        return {Retained(row["name"]): row["before"] for row in self._rows(self.statements.select_horizons)}

    def select_outcomes(self, commands: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], Outcome]:
        given = [arrays.texts([source for source, _ in commands]), arrays.texts([name for _, name in commands])]
        rows = self._rows(self.statements.find_outcomes, given)
        return {(row["source"], row["id"]): Outcome(row["outcome"]) for row in rows}

    def select_commits(self, first: int, last: int) -> Sequence[CommitTime]:
        rows = self._rows(self.statements.select_commits, {"first": first, "last": last})
        return [CommitTime(row["position"], row["committed_at"]) for row in rows]

    def select_last_commit(self) -> int:
        return int(self._rows(self.statements.last_commit)[0]["position"])

    def select_position_at(self, moment: datetime) -> int:
        rows = self._rows(self.statements.position_at, [moment])
        return rows[0]["position"] if rows else 0

    def select_follower(self, name: str) -> int:
        rows = self._rows(self.statements.select_follower, [name])
        return rows[0]["position"] if rows else 0

    def move_follower(self, name: str, expected: int, following: int) -> bool:
        """Compare-and-set; a follower that never moved stands at 0."""
        parameters = {"name": name, "expected": expected, "following": following}
        with self.store.get_connection() as connection:
            return connection.execute(self.statements.move_follower, parameters, prepare=True).rowcount == 1

    @retry((InterfaceError, OperationalError), max_attempts=2, wait=0.2)
    def _rows(self, statement: bytes, parameters: Sequence[object] | Mapping[str, object] = ()) -> list[DictRow]:
        """Read; once more where the connection turns out to be dead."""
        with self.store.get_connection() as connection:
            return connection.execute(statement, parameters, prepare=True, binary=True).fetchall()


def positions_in(rows: Collection[DictRow]) -> Mapping[PartitionId, Position]:
    """The positions of partitions, as they are stored."""
    return {
        PartitionId(row["topic"], row["epoch"], row["partition"]): Position(next=row["next"], digest=row["digest"])
        for row in rows
    }
