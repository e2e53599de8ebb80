"""What simulated replicas measure, made of what recorded ones did."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from domain.autoscaling.samples import MetricSample
from domain.autoscaling.window import MetricKey
from domain.deployment import Deployment
from domain.routes import Route, RouteStatus
from domain.simulation.model import SimulationModel

#: For how long a route that reported counts as reporting (seconds).
_REPORTS_FOR = 300.0


class Reporters:
    """Says what simulated replicas measure, from what recorded ones did.

    A replica that was there reports what it reported. Of the others each mirrors a recorded one, by rank.
    """

    def __init__(self, model: SimulationModel) -> None:
        self._model = model
        self._seen: dict[UUID, datetime] = {}
        self._latest: dict[tuple[MetricKey, UUID], float] = {}

    def gone(self, route_id: UUID) -> None:
        """A recorded route reports no more."""
        self._seen.pop(route_id, None)

    def measured(self, samples: Sequence[MetricSample], at: datetime, state: Deployment) -> list[MetricSample]:
        """What is measured instead of recorded samples that came at a moment."""
        for sample in samples:
            if sample.route_id is not None:
                self._seen[sample.route_id] = at
                self._latest[(sample.source, sample.metric), sample.route_id] = sample.value
        kept = [sample for sample in samples if sample.route_id is None]
        if len(kept) == len(samples):
            return kept
        for route_id in [key for key, seen in self._seen.items() if (at - seen).total_seconds() > _REPORTS_FOR]:
            del self._seen[route_id]
        self._latest = {key: value for key, value in self._latest.items() if key[1] in self._seen}
        ready = [route for route in state.active_routes if route.status is not RouteStatus.PROVISIONING]
        ready.sort(key=lambda route: (route.created_at, route.id))
        if self._model.capacity_per_replica is not None:
            return [*kept, *self._shared(samples, ready, self._model.capacity_per_replica)]
        mirrors = self._mirrors(ready)
        for sample in samples:
            if sample.route_id is not None:
                kept += [sample.model_copy(update={"route_id": key}) for key in mirrors.get(sample.route_id, ())]
        return kept

    def _mirrors(self, ready: list[Route]) -> dict[UUID, list[UUID]]:
        there = {route.id for route in ready}
        others = [key for key in self._seen if key not in there] or list(self._seen)
        mirrors: dict[UUID, list[UUID]] = {key: [key] for key in self._seen if key in there}
        for rank, route in enumerate(route for route in ready if route.id not in self._seen):
            mirrors.setdefault(others[rank % len(others)], []).append(route.id)
        return mirrors

    def _shared(self, samples: Sequence[MetricSample], ready: list[Route], capacity: float) -> list[MetricSample]:
        newest: dict[MetricKey, MetricSample] = {}
        for sample in samples:
            key = (sample.source, sample.metric)
            if sample.route_id is not None and (key not in newest or newest[key].at < sample.at):
                newest[key] = sample
        shared = []
        for key, sample in newest.items():
            load = sum(value for (metric, _), value in self._latest.items() if metric == key)
            for route in ready:
                share = {"route_id": route.id, "value": min(capacity, load / len(ready))}
                shared.append(sample.model_copy(update=share))
        return shared
