from sqlalchemy import Engine

from domain.rejections import RecordsRejected, RejectedRecord, rejection_stream
from projections.catalogue import VIEWS
from projections.rejected_records import find_rejected_records
from projections.runner import ProjectionRunner
from tests.projection_support import MemoryLog, after


def refused(offset: int, **other: str) -> RejectedRecord:
    told = {"code": "invalid-json", "field": "", "value": "{", "reason": "this is not JSON", "source": "", "id": ""}
    return RejectedRecord(offset=offset, digest="a" * 64, length=1, **(told | other))


async def fold_refusals(engine: Engine) -> None:
    log = MemoryLog()
    for seconds, partition, records in (
        (1, 0, (refused(2**40), refused(2**40 + 1, code="unknown-type", field="type", value="nonsense\0"))),
        (2, 3, (refused(5, source="/ci", id="17"),)),
    ):
        event = RecordsRejected(at=after(seconds), topic="commands", epoch="e1", partition=partition, records=records)
        log.append(event, to=rejection_stream("commands", "e1", partition))
    await ProjectionRunner(engine, VIEWS, log).catch_up()


async def test_each_refused_record_is_a_row_that_says_where_it_stood_and_what_was_wrong(engine: Engine) -> None:
    await fold_refusals(engine)

    with engine.connect() as connection:
        _, second, first = find_rejected_records(connection)
    assert (first.topic, first.epoch, first.partition, first.offset) == ("commands", "e1", 0, 2**40)
    assert (first.position, first.ordinal, first.at) == (10, 0, after(1))
    assert (first.digest, first.length, first.code) == ("a" * 64, 1, "invalid-json")
    assert (second.ordinal, second.field, second.value) == (1, "type", "nonsense␀")


async def test_refused_records_are_found_by_where_they_stood_and_who_sent_them(engine: Engine) -> None:
    await fold_refusals(engine)

    with engine.connect() as connection:

        def offsets(**wanted: object) -> list[int]:
            return [row.offset for row in find_rejected_records(connection, **wanted)]  # type: ignore[arg-type] # any filter

        assert offsets(limit=1) == [5]
        assert offsets(topic="commands", partition=0) == [2**40 + 1, 2**40]
        assert offsets(code="unknown-type") == [2**40 + 1]
        assert offsets(source="/ci", record_id="17") == [5]
        assert offsets(since=after(1.5)) == [5]
        assert offsets(until=after(1.5), code="invalid-json") == [2**40]
        assert offsets(topic="routes") == []
