"""What the consumer of the input topics needs from whoever handles its records, and how it stops for good.

::

    ConsumptionHalted        a partition cannot be read on from where it was left
     ├── TopicRecreated      what the topic holds is not what was read from it before
     └── RecordsLost         records were deleted before they were read
    PartitionsHalted         some partitions are to rest, the others are read on
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from domain.errors import RoutekeeperError
from handlers.ports import Position
from handlers.records import PartitionId, ReceivedRecord


class ConsumptionHalted(RoutekeeperError):
    """A partition cannot be read on from where it was left; going on silently would lose or repeat records."""


class TopicRecreated(ConsumptionHalted):
    """What the topic holds is not what was read from it before."""


class RecordsLost(ConsumptionHalted):
    """Records were deleted before they were read."""


class PartitionsHalted(RoutekeeperError):
    """Some partitions cannot be read on by this version; ``reasons`` says why, ``lost`` are to be read again.

    Everything else of the batch was committed.
    """

    def __init__(self, reasons: Mapping[PartitionId, str], lost: Collection[PartitionId] = ()) -> None:
        super().__init__("; ".join(f"{origin.topic}/{origin.partition}: {why}" for origin, why in reasons.items()))
        self.reasons = dict(reasons)
        self.lost = frozenset(lost) - reasons.keys()


class RecordHandler(Protocol):
    """Handles what is read, and owns how far each partition was read.

    The calls never overlap, except that :meth:`handle` is cancelled where it outlasts the consumer's grace time when
    its partitions go to somebody else.
    """

    async def assigned(self, origins: Collection[PartitionId]) -> Mapping[PartitionId, Position | None]:
        """Take partitions over, or begin with them anew; give their stored positions (``None``: never read)."""
        ...

    async def revoked(self, origins: Collection[PartitionId]) -> None:
        """Let go of partitions; records of theirs that are not committed by now will come to somebody else."""
        ...

    async def handle(self, records: Sequence[ReceivedRecord]) -> None:
        """Have the records' effects committed; the records of one partition stand together and in order.

        Raises :class:`~handlers.ports.PositionConflict`, :class:`~handlers.ports.LogUnavailable` or
        :class:`~handlers.ports.DeadLettersUnavailable` where they could not be: then all partitions of these records
        are handed to :meth:`assigned` again, and read again from the positions that it gives. Raises
        :class:`PartitionsHalted` where some partitions are to rest until they are assigned anew. Anything else that is
        raised ends the consumer.
        """
        ...
