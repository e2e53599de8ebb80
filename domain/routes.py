"""Routes: one replica of a deployment each, as the proxy may send traffic to it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from uuid import UUID


class RouteStatus(StrEnum):
    """The life of a route, as reported by whatever runs the replicas."""

    PROVISIONING = "provisioning"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    DEGRADED = "degraded"
    TERMINATING = "terminating"
    TERMINATED = "terminated"
    FAILED_TO_START = "failed_to_start"

    @property
    def is_active(self) -> bool:
        """Whether a route in this status counts as a replica."""
        return self in _ACTIVE

    @property
    def is_terminal(self) -> bool:
        """Whether a route in this status is over for good."""
        return self in _TERMINAL


_ACTIVE = frozenset({RouteStatus.PROVISIONING, RouteStatus.HEALTHY, RouteStatus.UNHEALTHY, RouteStatus.DEGRADED})
_TERMINAL = frozenset({RouteStatus.TERMINATED, RouteStatus.FAILED_TO_START})

_TERMINATION_RANK = {
    RouteStatus.UNHEALTHY: 1,
    RouteStatus.DEGRADED: 2,
    RouteStatus.PROVISIONING: 3,
    RouteStatus.HEALTHY: 4,
}


class TerminationReason(StrEnum):
    """Why routes are taken away."""

    SCALE_IN = "scale-in"
    EVICTED = "evicted"
    DESTROYED = "destroyed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A route that is not over yet; ``traffic_ratio`` is its weight among its siblings (1.0 = a full share)."""

    id: UUID
    revision_id: UUID
    status: RouteStatus
    traffic_ratio: float
    created_at: datetime
    status_since: datetime


class Routes(dict[UUID, Route]):
    """A deployment's routes by id. Never changed: what is counted is counted once for all states that share them."""

    @cached_property
    def active_count(self) -> int:
        """How many of them count as replicas."""
        return sum(route.status.is_active for route in self.values())

    @cached_property
    def unhealthy_since(self) -> datetime | None:
        """Since when the one is unhealthy that is so for longest."""
        unhealthy = (route.status_since for route in self.values() if route.status is RouteStatus.UNHEALTHY)
        return min(unhealthy, default=None)


def termination_order(routes: Iterable[Route]) -> list[Route]:
    """Sort active routes by who goes first when scaling in.

    Unhealthy, degraded, provisioning, healthy; within a group the newest first; ties by id. The order is total, so
    the same routes always give the same victims. A route of any other status goes before all of them.
    """
    return sorted(routes, key=lambda r: (_TERMINATION_RANK.get(r.status, 0), -r.created_at.timestamp(), r.id))
