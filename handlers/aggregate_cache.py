"""Deployments in memory, as many as fit; what is not here is loaded from the log."""

from collections.abc import Collection, Iterator
from uuid import UUID

from domain.deployment import Deployment


class AggregateCache:
    """Keeps the ``size`` (count) most recently used deployments."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._deployments: dict[UUID, Deployment] = {}

    def __len__(self) -> int:
        return len(self._deployments)

    def __iter__(self) -> Iterator[Deployment]:
        return iter(self._deployments.values())

    def get(self, deployment_id: UUID) -> Deployment | None:
        """The deployment if it is here; using it keeps it from being the next to go."""
        deployment = self._deployments.pop(deployment_id, None)
        if deployment is not None:
            self._deployments[deployment_id] = deployment
        return deployment

    def put(self, deployment: Deployment) -> None:
        """Keep the deployment, at the cost of the one that was not used for longest."""
        self._deployments.pop(deployment.id, None)
        self._deployments[deployment.id] = deployment
        if len(self._deployments) > self._size:
            del self._deployments[next(iter(self._deployments))]

    def evict(self, ids: Collection[UUID]) -> None:
        """Forget these deployments, so that they are loaded anew."""
        for deployment_id in ids:
            self._deployments.pop(deployment_id, None)

    def clear(self) -> None:
        """Forget everything."""
        self._deployments.clear()
