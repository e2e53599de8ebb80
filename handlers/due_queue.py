"""Who is due when: a priority queue in which each deployment stands at most once."""

import heapq
from collections.abc import Container
from datetime import datetime
from uuid import UUID

#: So many entries that were left over (count) are never worth clearing away.
_FEW = 1_000


class DueQueue:
    """Holds the moment at which each deployment is due next."""

    def __init__(self) -> None:
        self._due: dict[UUID, datetime] = {}
        self._heap: list[tuple[datetime, UUID]] = []

    def __len__(self) -> int:
        return len(self._due)

    def __contains__(self, deployment_id: UUID) -> bool:
        return deployment_id in self._due

    def is_due(self, deployment_id: UUID, now: datetime) -> bool:
        """Whether the deployment is here and due."""
        due_at = self._due.get(deployment_id)
        return due_at is not None and due_at <= now

    def put(self, deployment_id: UUID, due_at: datetime | None) -> None:
        """Make the deployment due at ``due_at`` instead of whenever it was (``None``: not at all)."""
        if due_at is None:
            self._due.pop(deployment_id, None)
        elif self._due.get(deployment_id) != due_at:
            self._due[deployment_id] = due_at
            heapq.heappush(self._heap, (due_at, deployment_id))
            if len(self._heap) > 2 * len(self._due) + _FEW:
                self._heap = [(due, key) for key, due in self._due.items()]
                heapq.heapify(self._heap)

    def bring_forward(self, deployment_id: UUID, due_at: datetime) -> None:
        """Make the deployment due at ``due_at`` unless it is due earlier."""
        known = self._due.get(deployment_id)
        if known is None or due_at < known:
            self.put(deployment_id, due_at)

    def earliest(self) -> datetime | None:
        """When the next deployment is due."""
        while self._heap:
            due_at, deployment_id = self._heap[0]
            if self._due.get(deployment_id) == due_at:
                return due_at
            # Left over from before the deployment was put anew.
            heapq.heappop(self._heap)
        return None

    def take(self, now: datetime, limit: int, *, skip: Container[UUID]) -> list[UUID]:
        """Remove and give at most ``limit`` deployments that are due, longest due first; those in ``skip`` wait.

        Who is skipped leaves the queue too: it is put again by whoever keeps it busy.
        """
        taken: list[UUID] = []
        while len(taken) < limit and (due_at := self.earliest()) is not None and due_at <= now:
            _, deployment_id = heapq.heappop(self._heap)
            del self._due[deployment_id]
            if deployment_id not in skip:
                taken.append(deployment_id)
        return taken

    def clear(self) -> None:
        """Forget everybody."""
        self._due.clear()
        self._heap.clear()
