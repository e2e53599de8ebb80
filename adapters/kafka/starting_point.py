"""Where to begin reading a partition, or why that cannot be said without losing or repeating records."""

from dataclasses import dataclass

from handlers.consumption import RecordsLost, TopicRecreated
from handlers.ports import Position
from handlers.records import PartitionId, ReceivedRecord

_ADVICE = "To read the topic as it is now from its beginning, give it another epoch in the settings"


@dataclass(frozen=True, slots=True, kw_only=True)
class StartingPoint:
    """The first ``offset`` to fetch; with ``previous`` that is the last record handled, fetched again to compare it.

    ``must_be_there``: that record has to come, or the topic is not the one that was read before.
    """

    offset: int
    previous: Position | None = None
    must_be_there: bool = False

    def is_previous(self, record: ReceivedRecord) -> bool:
        """Whether the first record that was fetched is the one handled before. Raises :class:`TopicRecreated`."""
        if self.previous is None or record.offset >= self.previous.next:
            return False
        if record.digest != self.previous.digest:
            raise TopicRecreated(
                f"{_name(record.origin)}: the record at offset {record.offset} is not the one that was handled before "
                f"(its digest is {record.digest}, not {self.previous.digest}), so the topic was recreated or restored. "
                f"{_ADVICE}."
            )
        return True


def starting_point(origin: PartitionId, position: Position | None, *, beginning: int, end: int) -> StartingPoint:
    """Begin at the stored position, or at the earliest record if there is none.

    ``beginning`` is the first offset that the partition still holds, ``end`` the one that the next record will get, or
    less: the embedded broker counts a batch of records as one there. Raises :class:`RecordsLost` where the position
    lies before the beginning.
    """
    if position is None:
        return StartingPoint(offset=beginning)
    if position.next < beginning:
        raise RecordsLost(
            f"{_name(origin)}: the next offset to read is {position.next}, but the partition begins at {beginning}, so "
            f"{beginning - position.next} records were deleted before they were read: its retention is too short. "
            f"{_ADVICE}."
        )
    if position.next > end:
        return StartingPoint(offset=position.next - 1, previous=position, must_be_there=True)
    if position.next > beginning:
        return StartingPoint(offset=position.next - 1, previous=position)
    return StartingPoint(offset=position.next)


def behind_the_end(origin: PartitionId, position: Position, end: int) -> TopicRecreated:
    """The error for a record that had to be there, and is not."""
    return TopicRecreated(
        f"{_name(origin)}: the next offset to read is {position.next}, but the partition ends at {end}, so the topic "
        f"was recreated or lost records. {_ADVICE}."
    )


def _name(origin: PartitionId) -> str:
    return f"topic {origin.topic}, partition {origin.partition} (epoch {origin.epoch!r})"
