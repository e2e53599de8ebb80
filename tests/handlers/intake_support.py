"""What tests of intake share: a reader of records that are understood already."""

from collections.abc import Sequence
from typing import Final

from domain.events import ReplicaCountSet
from domain.recorded import RecordCause
from handlers.intake import Intake
from handlers.records import ParsedRecord, PartitionId, ReceivedRecord
from handlers.submission import RecordItem
from tests.handlers.decision_support import P0, DecidingWorker, deployment, item, set_count

D1: Final = deployment(1)
D2: Final = deployment(1, 1)
ROUTES: Final = PartitionId("routes", "epoch-1", 0)


class Reader:
    """An intake on a decider of its own, fed with records that are understood already."""

    def __init__(self, worker: DecidingWorker, batch_size: int = 200) -> None:
        self.worker = worker
        self.log = worker.log
        self._parsed: dict[ReceivedRecord, ParsedRecord] = {}
        self.intake = Intake(
            worker.log, worker.decider, worker.ownership, self._parsed.__getitem__, batch_size=batch_size
        )

    async def handle(self, *items: RecordItem) -> None:
        """Hand over what the consumer has read."""
        self._parsed.update({each.record: each.parsed for each in items})
        await self.intake.handle([each.record for each in items])

    async def places(self, *origins: PartitionId) -> list[int | None]:
        """How far partitions were read, by the log."""
        stored = await self.log.positions(origins)
        return [stored[origin].next if origin in stored else None for origin in origins]


def counts(offsets: Sequence[int], origin: PartitionId = P0) -> list[RecordItem]:
    """One record an offset, each setting another number of replicas."""
    return [item(origin, offset, set_count(D1, offset % 1000)) for offset in offsets]


async def decided_offsets(reader: Reader) -> list[int]:
    """The offsets whose commands have set the number of replicas, as the log has them."""
    history = [logged.recorded for logged in await reader.log.stream(D1)]
    return [
        recorded.cause.offset
        for recorded in history
        if isinstance(recorded.cause, RecordCause) and isinstance(recorded.event, ReplicaCountSet)
    ]
