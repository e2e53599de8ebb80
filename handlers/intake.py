"""Takes records from Kafka: understands them, hands them to the decider in order, and keeps each partition's place."""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import groupby

from domain.chunks import chunks
from handlers.consumption import PartitionsHalted
from handlers.decider import Decider
from handlers.ownership import Ownership
from handlers.ports import EventLog, Position, PositionConflict, PositionMove, UnknownEventType, VersionConflict
from handlers.records import PartitionId, ReceivedRecord, RecordParser
from handlers.submission import RecordItem, Submission


class Intake:
    """Handles what the consumer reads; the log, not Kafka, knows how far the partitions were read.

    Those in another partition than the id places them in, from producers with another partitioner or from before the
    topic got more partitions, are handled all the same, only slower.
    """

    def __init__(
        self,
        event_log: EventLog,
        decider: Decider,
        ownership: Ownership,
        parse: RecordParser,
        *,
        batch_size: int = 200,
    ) -> None:
        self._log = event_log
        self._decider = decider
        self._ownership = ownership
        self._parse = parse
        self._batch_size = batch_size
        self._next: dict[PartitionId, int | None] = {}

    async def assigned(self, origins: Collection[PartitionId]) -> Mapping[PartitionId, Position | None]:
        """Begin with these partitions where the log says; whatever was in memory may be stale."""
        self._decider.forget()
        stored = await self._log.positions(origins)
        places = {origin: stored.get(origin) for origin in origins}
        self._next |= {origin: place.next if place else None for origin, place in places.items()}
        self._ownership.gain(origins)
        return places

    async def revoked(self, origins: Collection[PartitionId]) -> None:
        """Let go of these partitions and of what was in memory for them."""
        for origin in origins:
            self._next.pop(origin, None)
        self._ownership.lose(origins)
        self._decider.forget()

    async def handle(self, records: Sequence[ReceivedRecord]) -> None:
        """Have the records' effects committed.

        Raises :class:`PositionConflict` where somebody else has read them, or wrote to the same deployments so often
        meanwhile that they have to be read again, and :class:`PartitionsHalted` where the next record of a partition is
        for a deployment with events that this version does not know.
        """
        submissions = []
        for some in self._chunks(records):
            submissions.append(self._submission(some))
            # One after the other: several that wait for room in the queue could overtake each other.
            await self._decider.enqueue(submissions[-1])
        results = await asyncio.gather(*(submission.done for submission in submissions), return_exceptions=True)
        lost: set[PartitionId] = set()
        halted: dict[PartitionId, str] = {}
        for submission, result in zip(submissions, results, strict=True):
            if isinstance(result, UnknownEventType):
                halted |= {move.origin: str(result) for move in submission.moves}
            elif isinstance(result, PositionConflict | VersionConflict):
                lost |= {move.origin for move in submission.moves}
            elif isinstance(result, BaseException):
                raise result
        if halted:
            raise PartitionsHalted(halted, lost)
        if lost:
            raise PositionConflict(lost)

    def _chunks(self, records: Sequence[ReceivedRecord]) -> Iterable[Sequence[ReceivedRecord]]:
        for origin, group in groupby(records, key=lambda record: record.origin):
            if origin in self._next:
                yield from chunks(list(self._unread(origin, group)), self._batch_size)

    def _unread(self, origin: PartitionId, records: Iterable[ReceivedRecord]) -> Iterable[ReceivedRecord]:
        """Leave out what was read already: a position never goes back."""
        reached = self._next[origin] or 0
        for record in records:
            if record.offset >= reached:
                reached = record.offset + 1
                yield record

    def _submission(self, records: Sequence[ReceivedRecord]) -> Submission:
        last = records[-1]
        expected = self._next[last.origin]
        following = last.offset + 1
        self._next[last.origin] = following
        move = PositionMove(origin=last.origin, expected=expected, next=following, digest=last.digest)
        items = [RecordItem(record, self._parse(record)) for record in records]
        return Submission(items, [move], asyncio.get_running_loop().create_future())

    def resized(self, count: int) -> None:
        """Take note of how many partitions the commands topic has: others may decide for what is in memory here."""
        if count != self._ownership.count:
            self._ownership.resize(count)
            self._decider.forget()
