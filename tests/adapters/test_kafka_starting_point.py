import pytest

from adapters.kafka.starting_point import StartingPoint, starting_point
from handlers.consumption import RecordsLost, TopicRecreated
from handlers.ports import Position
from handlers.records import PartitionId
from tests.kafka_support import received

ORIGIN = PartitionId("routekeeper.commands", "epoch", 0)


def test_a_partition_never_read_begins_at_its_earliest_record() -> None:
    """Never at the latest: what was sent before the first worker came up counts."""
    assert starting_point(ORIGIN, None, beginning=5, end=9) == StartingPoint(offset=5)


def test_a_stored_position_begins_one_record_early() -> None:
    """The record before it shows whether the topic is still the same one."""
    position = Position(next=7, digest="d")

    assert starting_point(ORIGIN, position, beginning=5, end=9) == StartingPoint(offset=6, previous=position)


def test_a_position_whose_last_record_is_gone_begins_where_it_was_left() -> None:
    """Retention may take what was handled."""
    assert starting_point(ORIGIN, Position(next=5, digest="d"), beginning=5, end=9) == StartingPoint(offset=5)


def test_a_position_behind_the_end_must_be_confirmed_by_its_record() -> None:
    """An end that is too low is no proof by itself: not every broker counts right."""
    position = Position(next=12, digest="d")

    point = starting_point(ORIGIN, position, beginning=0, end=9)

    assert point == StartingPoint(offset=11, previous=position, must_be_there=True)


def test_records_deleted_before_they_were_read_are_not_passed_over() -> None:
    """Fault 11: offset out of range. The error names topic, partition and offsets, and says what can be done."""
    with pytest.raises(RecordsLost, match=r"routekeeper.commands, partition 0 .* 5, but .* begins at 9, so 4 records"):
        starting_point(ORIGIN, Position(next=5, digest="d"), beginning=9, end=20)


def test_the_record_handled_before_is_recognised_by_its_digest() -> None:
    """It is skipped if it is the same, and stops everything if it is not."""
    record = received(b"value", key=b"key", offset=6)
    same = StartingPoint(offset=6, previous=Position(next=7, digest=record.digest))
    other = StartingPoint(offset=6, previous=Position(next=7, digest="other"))

    assert same.is_previous(record)
    assert not same.is_previous(received(b"next", offset=7))
    with pytest.raises(TopicRecreated, match=r"offset 6 is not the one that was handled before.*another epoch"):
        other.is_previous(record)
