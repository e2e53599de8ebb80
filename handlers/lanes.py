"""Lanes side by side, so that what is slow in one holds up nobody in another."""

import asyncio
from itertools import product
from zlib import crc32

from domain.deployment import Deployment
from domain.operations import Operation

#: An operation, and the number that the scaling group falls on.
Lane = tuple[Operation, int]


class Lanes:
    """Spreads the scaling groups of each operation over ``lanes``, each with ``batches`` at a time (counts)."""

    def __init__(self, lanes: int, batches: int) -> None:
        self._count = lanes
        self._slots = {lane: asyncio.Semaphore(batches) for lane in product(Operation, range(lanes))}

    def of(self, operation: Operation, state: Deployment) -> Lane:
        """The lane in which this operation is done for this deployment."""
        return operation, crc32(state.resource_group.encode()) % self._count

    def slot(self, lane: Lane) -> asyncio.Semaphore:
        """What to hold while a batch is under way."""
        return self._slots[lane]
