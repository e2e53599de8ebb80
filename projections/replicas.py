"""Read model: how many replicas a deployment wanted and had over time."""

from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import BigInteger, Column, Connection, Table, select

from projections.columns import WORD, count, instant
from projections.querying import DEFAULT_LIMIT, ViewRow, fetch
from projections.rows import Row, Rows
from projections.time_series import TimeSeries, superseded
from projections.view import METADATA

REPLICAS = Table(
    "replicas",
    METADATA,
    Column("deployment_id", WORD, primary_key=True),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    instant("at"),
    count("target"),
    count("active"),
    count("healthy"),
    count("provisioning"),
)

#: The numbers as they were at the horizon stay, so that every later moment has some.
REPLICA_SERIES: Final = TimeSeries(table=REPLICAS, outdated=superseded)


class ReplicaCountsRow(ViewRow):
    """The numbers of replicas of a deployment from ``at`` on, until its next row."""

    deployment_id: UUID
    position: int
    at: datetime
    target: int
    active: int
    healthy: int
    provisioning: int


def fold_replicas(rows: Rows, position: int, at: datetime, deployment: Row) -> None:
    """Note the numbers that a deployment's row shows."""
    rows.of(REPLICAS).append(
        {
            "deployment_id": deployment["id"],
            "position": position,
            "at": at,
            "target": deployment["target_replica_count"],
            "active": deployment["active_replicas"],
            "healthy": deployment["healthy_replicas"],
            "provisioning": deployment["provisioning_replicas"],
        }
    )


def replica_history(
    connection: Connection,
    deployment_id: UUID,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = DEFAULT_LIMIT,
) -> list[ReplicaCountsRow]:
    """The last ``limit`` changes of a deployment's numbers from ``since`` to ``until`` inclusive, newest first."""
    query = select(REPLICAS).where(REPLICAS.c.deployment_id == str(deployment_id))
    if since is not None:
        query = query.where(REPLICAS.c.at >= since)
    if until is not None:
        query = query.where(REPLICAS.c.at <= until)
    return fetch(connection, query.order_by(REPLICAS.c.position.desc()).limit(limit), ReplicaCountsRow)
