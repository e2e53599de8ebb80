"""Which deployments this worker decides for: those whose partition of the commands topic is assigned to it."""

import asyncio
from collections.abc import Callable, Collection
from uuid import UUID

from handlers.records import PartitionId


class Ownership:
    """Follows the assignment of partitions.

    ``partition_hash`` places a deployment: it is in partition ``hash % count`` of ``topic``, which may get more.
    """

    def __init__(self, topic: str, count: int, partition_hash: Callable[[UUID], int]) -> None:
        self.count = count
        self.partition_hash = partition_hash
        self.partitions: frozenset[int] = frozenset()
        self.changed = asyncio.Event()
        self._topic = topic

    def owns(self, deployment_id: UUID) -> bool:
        """Whether this worker decides for the deployment."""
        return self.partition_of(deployment_id) in self.partitions

    def partition_of(self, deployment_id: UUID) -> int:
        """The partition that the deployment's records should be in."""
        return self.partition_hash(deployment_id) % self.count

    def resize(self, count: int) -> None:
        """Take note of how many partitions the topic has: deployments move to other ones with their number."""
        if count != self.count:
            self.count = count
            self.changed.set()

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
