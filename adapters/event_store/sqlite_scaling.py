"""Samples and evaluations in SQLite, and what is kept for a time only."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from eventsourcing.sqlite import SQLiteCursor, SQLiteProcessRecorder

from adapters.event_store.instants import checked_moment_of, microseconds_of, moment_of
from adapters.event_store.scaling_rows import (
    newest_moment,
    packed_samples,
    records_by_deployment,
    reports_by_deployment,
)
from adapters.event_store.sqlite_tables import insert_all
from domain.autoscaling.record import EvaluationRecord
from handlers.ports import DeploymentEvaluation, Retained, SampleReport

_KEEP_SAMPLES: Final = "INSERT INTO metric_samples (deployment_id, received_at, newest_at, samples) VALUES {rows}"
_KEEP_EVALUATIONS: Final = """
    INSERT INTO scaling_evaluations
    (deployment_id, at, version, watermark, previous, recommended, desired, memories, samples_until, resumed)
    VALUES {rows}"""
#: The columns of an evaluation that are moments.
_MOMENTS: Final = ("at", "watermark", "samples_until")
_SELECT_SAMPLES: Final = """
    SELECT id, received_at, samples FROM metric_samples WHERE deployment_id = ? AND newest_at >= ?
    ORDER BY newest_at DESC, id DESC LIMIT ?"""
_SELECT_EVALUATIONS: Final = """
    SELECT * FROM scaling_evaluations WHERE deployment_id = :id AND at >= :since
    UNION ALL SELECT * FROM (
        SELECT * FROM scaling_evaluations WHERE deployment_id = :id AND at < :since AND memories IS NOT NULL
        ORDER BY at DESC, id DESC LIMIT 1)
    ORDER BY at, id"""
_SELECT_SAMPLES_BETWEEN: Final = """
    SELECT received_at, samples FROM metric_samples WHERE deployment_id = ? AND newest_at >= ? AND received_at < ?
    ORDER BY received_at, id LIMIT ?"""
_SELECT_EVALUATIONS_BETWEEN: Final = """
    SELECT * FROM (SELECT * FROM scaling_evaluations WHERE deployment_id = :id AND at >= :since AND at < :until
                   ORDER BY at, id LIMIT :limit)
    UNION ALL SELECT * FROM (
        SELECT * FROM scaling_evaluations WHERE deployment_id = :id AND at < :since AND memories IS NOT NULL
        ORDER BY at DESC, id DESC LIMIT 1)
    ORDER BY at, id"""
_HORIZON: Final = """
    INSERT INTO retention_horizons VALUES (?, ?) ON CONFLICT (name)
    DO UPDATE SET before = max(before, excluded.before)"""

#: How what is old is deleted. Only what comes first is looked at, so that it takes no longer where nothing is old.
_PRUNE: Final = {
    Retained.SAMPLES: """DELETE FROM metric_samples WHERE id IN (SELECT id FROM (
        SELECT id, received_at FROM metric_samples ORDER BY id LIMIT ?) WHERE received_at < ?)""",
    Retained.EVALUATIONS: """DELETE FROM scaling_evaluations WHERE id IN (SELECT id FROM (
        SELECT id, at FROM scaling_evaluations ORDER BY id LIMIT ?) WHERE at < ?)""",
    Retained.OUTCOMES: """DELETE FROM command_outcomes WHERE (source, id) IN (SELECT source, id FROM (
        SELECT source, id, recorded_at FROM command_outcomes ORDER BY recorded_at LIMIT ?) WHERE recorded_at < ?)""",
}


def keep_samples(c: SQLiteCursor, reports: Sequence[SampleReport]) -> None:
    """Insert a row for each report."""
    rows = [
        (
            report.deployment_id.hex,
            microseconds_of(report.received_at),
            microseconds_of(newest_moment(report)),
            packed_samples(report.samples),
        )
        for report in reports
    ]
    insert_all(c, _KEEP_SAMPLES, "(?,?,?,?)", rows)


def keep_evaluations(c: SQLiteCursor, evaluations: Sequence[DeploymentEvaluation]) -> None:
    """Insert a row for each evaluation."""
    rows = [(each.deployment_id.hex, *_columns(each.record)) for each in evaluations]
    insert_all(c, _KEEP_EVALUATIONS, "(?,?,?,?,?,?,?,?,?,?)", rows)


def _columns(record: EvaluationRecord) -> Sequence[object]:
    return [microseconds_of(value) if isinstance(value, datetime) else value for value in record]


class SQLiteScaling(SQLiteProcessRecorder):
    """Reads samples and evaluations, and deletes what is too old."""

    def select_samples(
        self, deployments: Sequence[UUID], since: datetime, limit: int
    ) -> Mapping[UUID, Sequence[SampleReport]]:
        rows = []
        with self.datastore.transaction(commit=False) as c:
            for each in deployments:
                c.execute(_SELECT_SAMPLES, (each.hex, microseconds_of(since), limit))
                found = sorted((row["received_at"], row["id"], row["samples"]) for row in c.fetchall())
                rows += [(each, moment_of(received_at), samples) for received_at, _, samples in found]
        return reports_by_deployment(rows)

    def select_evaluations(
        self, deployments: Sequence[UUID], since: datetime
    ) -> Mapping[UUID, Sequence[EvaluationRecord]]:
        rows = []
        with self.datastore.transaction(commit=False) as c:
            for each in deployments:
                c.execute(_SELECT_EVALUATIONS, {"id": each.hex, "since": microseconds_of(since)})
                rows += [(each, _record(row)) for row in c.fetchall()]
        return records_by_deployment(rows)

    def select_samples_between(
        self, deployment: UUID, since: datetime, until: datetime, limit: int
    ) -> Sequence[SampleReport]:
        with self.datastore.transaction(commit=False) as c:
            c.execute(_SELECT_SAMPLES_BETWEEN, (deployment.hex, microseconds_of(since), microseconds_of(until), limit))
            rows = [(deployment, moment_of(row["received_at"]), row["samples"]) for row in c.fetchall()]
        return reports_by_deployment(rows).get(deployment, ())

    def select_evaluations_between(
        self, deployment: UUID, since: datetime, until: datetime, limit: int
    ) -> Sequence[EvaluationRecord]:
        between = {"since": microseconds_of(since), "until": microseconds_of(until)}
        with self.datastore.transaction(commit=False) as c:
            c.execute(_SELECT_EVALUATIONS_BETWEEN, {"id": deployment.hex, "limit": limit, **between})
            return [_record(row) for row in c.fetchall()]

    def prune(self, what: Retained, before: datetime, limit: int) -> int:
        """Delete at most ``limit`` rows that are older than ``before``, and say so, in one transaction."""
        horizon = microseconds_of(before)
        with self.datastore.transaction(commit=True) as c:
            c.execute(_PRUNE[what], (limit, horizon))
            deleted = int(c.sqlite_cursor.rowcount)
            if deleted:
                c.execute(_HORIZON, (what, horizon))
        return deleted

    def select_horizons(self) -> Mapping[Retained, datetime]:
        with self.datastore.transaction(commit=False) as c:
            c.execute("SELECT * FROM retention_horizons")
            return {Retained(row["name"]): checked_moment_of(row["before"]) for row in c.fetchall()}


def _record(row: Any) -> EvaluationRecord:  # noqa: ANN401 - as the library has rows
    columns = {name: row[name] for name in EvaluationRecord._fields}
    moments = {name: None if columns[name] is None else moment_of(columns[name]) for name in _MOMENTS}
    return EvaluationRecord(**columns | moments | {"resumed": bool(columns["resumed"])})
