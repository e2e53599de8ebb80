"""Deployments in memory, as many as fit; what is not here is loaded from the log."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from uuid import UUID

from domain.deployment import Deployment
from handlers.ownership import Ownership


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

    def is_older(self, deployment_id: UUID, version: int) -> bool:
        """Whether the deployment is here at a version below this one."""
        deployment = self._deployments.get(deployment_id)
        return deployment is not None and deployment.version < version

    def evict(self, ids: Collection[UUID]) -> None:
        """Forget these deployments, so that they are loaded anew."""
        for deployment_id in ids:
            self._deployments.pop(deployment_id, None)

    def clear(self) -> None:
        """Forget everything."""
        self._deployments.clear()


class Memory:
    """What was last committed, as far as this worker decides for it, and the versions of intake's own streams.

    ``generation`` counts how often everything was forgotten: what was read in an earlier one may be stale.
    """

    def __init__(self, ownership: Ownership, size: int) -> None:
        self.generation = 0
        self._ownership = ownership
        self._deployments = AggregateCache(size)
        self._stream_versions: dict[UUID, int] = {}

    def __iter__(self) -> Iterator[Deployment]:
        return iter(self._deployments)

    def deployment(self, deployment_id: UUID) -> Deployment | None:
        """The deployment if it is here and nobody else decides for it."""
        return self._deployments.get(deployment_id) if self._ownership.owns(deployment_id) else None

    def stream_version(self, stream_id: UUID) -> int | None:
        """The version of the last event in one of intake's own streams, if it is here."""
        return self._stream_versions.get(stream_id)

    def remember(
        self, deployments: Iterable[Deployment], stream_versions: Mapping[UUID, int], *, generation: int
    ) -> None:
        """Keep what was committed from what was read in ``generation``."""
        if generation != self.generation:
            return
        for deployment in deployments:
            if self._ownership.owns(deployment.id):
                self._deployments.put(deployment)
        self._stream_versions.update(stream_versions)

    def drop(self, deployments: Collection[UUID], streams: Collection[UUID]) -> None:
        """Forget these, because somebody else has written to some of them."""
        self._deployments.evict(deployments)
        for stream in streams:
            self._stream_versions.pop(stream, None)

    def drop_older(self, versions: Mapping[UUID, int]) -> None:
        """Forget deployments that are at a lower version here, because somebody else has written to them."""
        older = [key for key, version in versions.items() if self._deployments.is_older(key, version)]
        self._deployments.evict(older)

    def clear(self) -> None:
        """Forget everything, because somebody else may decide for it now."""
        self._deployments.clear()
        self._stream_versions.clear()
        self.generation += 1
