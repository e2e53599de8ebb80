"""Reference part: how make-believe replicas behave. Pure: told what happened, it says what to report and when."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from uuid import UUID

from domain import commands as c
from domain import events as e
from domain.recorded import AnyEvent
from domain.routes import RouteStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaTimes:
    """How long replicas take, in seconds; images in ``broken_images`` never start."""

    start: float = 0.3
    stop: float = 0.2
    broken_images: frozenset[str] = frozenset()


@dataclass(slots=True)
class ReplicaModel:
    """What the replicas of all deployments are up to.

    Replicas become healthy after a while, or fail to start if their image is broken, and end when told to.
    """

    times: ReplicaTimes = field(default_factory=ReplicaTimes)
    _images: dict[UUID, str] = field(default_factory=dict)
    _routes: dict[UUID, tuple[UUID, RouteStatus]] = field(default_factory=dict)
    _planned: list[tuple[float, UUID, RouteStatus]] = field(default_factory=list)

    def follow(self, deployment_id: UUID, event: AnyEvent, now: float) -> None:
        """Take an event of the control plane into account; ``now`` is in seconds of any steady clock."""
        match event:
            case e.TargetRevisionSet(revision=revision):
                self._images[deployment_id] = revision.image
            case e.ScaledOut(route_ids=route_ids):
                broken = self._images.get(deployment_id) in self.times.broken_images
                end = RouteStatus.FAILED_TO_START if broken else RouteStatus.HEALTHY
                for route_id in route_ids:
                    self._routes[route_id] = (deployment_id, RouteStatus.PROVISIONING)
                    heapq.heappush(self._planned, (now + self.times.start, route_id, end))
            case e.RoutesTerminating(route_ids=route_ids):
                for route_id in route_ids:
                    self._routes[route_id] = (deployment_id, RouteStatus.TERMINATING)
                    heapq.heappush(self._planned, (now + self.times.stop, route_id, RouteStatus.TERMINATED))
            case e.RouteStatusReported(changes=changes):
                for change in changes:
                    if change.status.is_terminal:
                        self._routes.pop(change.route_id, None)
            case e.DeploymentDestroyed():
                self._images.pop(deployment_id, None)
            case _:
                return

    def due(self, now: float) -> list[c.ReportRoutes]:
        """What is to be reported by now, a report a deployment."""
        reports: dict[UUID, list[c.RouteReport]] = {}
        for route_id, status in self._happened(now):
            deployment_id, before = self._routes[route_id]
            is_leaving = before is RouteStatus.TERMINATING or before.is_terminal
            if is_leaving and status is not RouteStatus.TERMINATED:
                continue
            self._routes[route_id] = (deployment_id, status)
            reports.setdefault(deployment_id, []).append(c.RouteReport(route_id=route_id, status=status))
        return [
            c.ReportRoutes(deployment_id=key, reports=tuple(some[i : i + c.MAX_ROUTES_PER_MESSAGE]))
            for key, some in reports.items()
            for i in range(0, len(some), c.MAX_ROUTES_PER_MESSAGE)
        ]

    def next_due(self) -> float | None:
        """When something is to be reported next, in seconds of the same clock."""
        return self._planned[0][0] if self._planned else None

    def _happened(self, now: float) -> Iterator[tuple[UUID, RouteStatus]]:
        while self._planned and self._planned[0][0] <= now:
            _, route_id, status = heapq.heappop(self._planned)
            if route_id in self._routes:
                yield route_id, status
