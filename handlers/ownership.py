"""Which deployments this worker decides for: those whose partition of the commands topic is assigned to it."""

import asyncio
from collections.abc import Callable, Collection
from uuid import UUID

from handlers.records import PartitionId


class Ownership:
    """Follows the assignment of partitions.

    ``partition_hash`` places a deployment: it is in partition ``hash % count`` of ``topic``.
    """

    def __init__(self, topic: str, count: int, partition_hash: Callable[[UUID], int]) -> None:
        self.count = count
        self.partition_hash = partition_hash
        self.partitions: frozenset[int] = frozenset()
        self.changed = asyncio.Event()
        self._topic = topic

    def owns(self, deployment_id: UUID) -> bool:
        """Whether this worker decides for the deployment."""
        return self.partition_hash(deployment_id) % self.count in self.partitions

    def gain(self, origins: Collection[PartitionId]) -> None:
        """Take note of partitions that were assigned."""
        self.partitions |= self._mine(origins)
        self.changed.set()

    def lose(self, origins: Collection[PartitionId]) -> None:
        """Take note of partitions that were revoked."""
        self.partitions -= self._mine(origins)
        self.changed.set()

    def _mine(self, origins: Collection[PartitionId]) -> frozenset[int]:
        return frozenset(origin.partition for origin in origins if origin.topic == self._topic)
