"""Read model: every route there is, and for some time those that are over, and how they ended."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import Column, Connection, Double, Index, Table, select

from domain import events as e
from domain.routes import RouteStatus, TerminationReason
from projections.columns import instant, word
from projections.querying import DEFAULT_LIMIT, ViewRow, fetch
from projections.rows import Rows
from projections.time_series import TimeSeries
from projections.view import METADATA

ROUTES = Table(
    "routes",
    METADATA,
    word("id", key=True),
    word("deployment_id"),
    word("status"),
    word("revision_id"),
    Column("traffic_ratio", Double, nullable=False),
    instant("created_at"),
    instant("status_since"),
    word("termination_reason", nullable=True),
    instant("ended_at", nullable=True),
    word("detail"),
    Index("ix_routes_deployment_id", "deployment_id", "status"),
)

#: Of a route that is over nothing changes any more: whoever still speaks of it is not heard, as if it were there.
ROUTE_SERIES: Final = TimeSeries(table=ROUTES, outdated=lambda table, before: table.c.ended_at < before)

_GIVEN_UP = "given up by a forced destruction: nobody reported how it ended"
_ACTIVE = frozenset(status.value for status in RouteStatus if status.is_active)
_TERMINAL = frozenset(status.value for status in RouteStatus if status.is_terminal)
_PROVISIONING = RouteStatus.PROVISIONING.value
_HEALTHY = RouteStatus.HEALTHY.value
_TERMINATING = RouteStatus.TERMINATING.value


class RouteCounts(NamedTuple):
    """Numbers of routes, or by how much they change."""

    active: int
    healthy: int
    provisioning: int


class RouteRow(ViewRow):
    """A route; ``ended_at`` is when it was known to be over, ``detail`` what was last reported with a status."""

    id: UUID
    deployment_id: UUID
    status: RouteStatus
    revision_id: UUID
    traffic_ratio: float
    created_at: datetime
    status_since: datetime
    termination_reason: TerminationReason | None
    ended_at: datetime | None
    detail: str


def _scaled_out(rows: Rows, deployment_id: str, event: e.ScaledOut, at: datetime) -> RouteCounts:
    routes = rows.of(ROUTES)
    same = {
        "deployment_id": deployment_id,
        "status": _PROVISIONING,
        "revision_id": str(event.revision_id),
        "traffic_ratio": event.traffic_ratio,
        "created_at": at,
        "status_since": at,
        "termination_reason": None,
        "ended_at": None,
        "detail": "",
    }
    for route_id in event.route_ids:
        routes.put({"id": str(route_id), **same})
    made = len(event.route_ids)
    return RouteCounts(active=made, healthy=0, provisioning=made)


def _terminating(rows: Rows, _deployment_id: str, event: e.RoutesTerminating, at: datetime) -> RouteCounts:
    routes = rows.of(ROUTES)
    moves = []
    for route_id in event.route_ids:
        route = routes.get(str(route_id))
        if route is None or route["status"] in _TERMINAL:
            continue
        moves.append((route["status"], _TERMINATING))
        changes = {"status": _TERMINATING, "traffic_ratio": 0.0, "status_since": at}
        routes.update(route["id"], changes | {"termination_reason": event.reason.value})
    return _counted(moves)


def _reported(rows: Rows, _deployment_id: str, event: e.RouteStatusReported, at: datetime) -> RouteCounts:
    routes = rows.of(ROUTES)
    moves = []
    for change in event.changes:
        route = routes.get(str(change.route_id))
        if route is None or route["status"] in _TERMINAL:
            continue
        status = change.status.value
        moves.append((route["status"], status))
        changes = {"status": status, "status_since": at, "detail": change.detail}
        if status not in _ACTIVE:
            changes["traffic_ratio"] = 0.0
        if status in _TERMINAL:
            changes["ended_at"] = at
        routes.update(route["id"], changes)
    return _counted(moves)


def _given_up(rows: Rows, deployment_id: str, event: e.DeploymentDestroyed, at: datetime) -> RouteCounts:
    if event.abandoned_routes:
        changes = {"status": RouteStatus.TERMINATED.value, "status_since": at, "ended_at": at}
        left = {"deployment_id": deployment_id, "status": _TERMINATING}
        rows.of(ROUTES).update_where(left, changes | {"detail": _GIVEN_UP})
    return RouteCounts(0, 0, 0)


def _counted(moves: Sequence[tuple[str, str]]) -> RouteCounts:
    active = healthy = provisioning = 0
    for before, after in moves:
        active += (after in _ACTIVE) - (before in _ACTIVE)
        healthy += (after == _HEALTHY) - (before == _HEALTHY)
        provisioning += (after == _PROVISIONING) - (before == _PROVISIONING)
    return RouteCounts(active, healthy, provisioning)


#: By event type: what changes the rows of a deployment's routes, and gives by how much its counts change.
ROUTE_FOLDS: Final[Mapping[type[Any], Callable[[Rows, str, Any, datetime], RouteCounts]]] = MappingProxyType(
    {
        e.ScaledOut: _scaled_out,
        e.RoutesTerminating: _terminating,
        e.RouteStatusReported: _reported,
        e.DeploymentDestroyed: _given_up,
    }
)

#: By event type: the ids of the routes that folding it asks for.
ROUTE_IDS: Final[Mapping[type[Any], Callable[[Any], Iterable[UUID]]]] = MappingProxyType(
    {
        e.RoutesTerminating: lambda event: event.route_ids,
        e.RouteStatusReported: lambda event: (change.route_id for change in event.changes),
    }
)


def find_routes(
    connection: Connection,
    *,
    deployment_id: UUID | None = None,
    status: Collection[RouteStatus] = (),
    ended: bool = False,
    limit: int = DEFAULT_LIMIT,
) -> list[RouteRow]:
    """Routes by deployment, oldest first, at most ``limit``; those that are over only with ``ended``."""
    query = select(ROUTES).order_by(ROUTES.c.deployment_id, ROUTES.c.created_at, ROUTES.c.id).limit(limit)
    if deployment_id is not None:
        query = query.where(ROUTES.c.deployment_id == str(deployment_id))
    if status:
        query = query.where(ROUTES.c.status.in_([each.value for each in status]))
    elif not ended:
        query = query.where(ROUTES.c.status.not_in(sorted(_TERMINAL)))
    return fetch(connection, query, RouteRow)
