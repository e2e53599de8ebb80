from dataclasses import replace

import pytest

from adapters.kafka.connection import KafkaConnection
from adapters.kafka.producer import DeadLetterLimits, DeadLetterProducer
from adapters.kafka.refusals import RefusalCode, refusal
from adapters.kafka.topics import Topics
from handlers.backoff import Backoff
from handlers.ports import DeadLettersUnavailable
from handlers.records import ReceivedRecord
from tests.kafka_support import read_all, received

IMPATIENT = DeadLetterLimits(attempts=2, attempt_timeout=0.5, kept_bytes=100, backoff=Backoff(base=0.01, cap=0.01))
BAD = refusal(RefusalCode.INVALID_FIELD, "data.replica_count: \ud800 is no number", field="data.x", value='"three"')


def refused(value: bytes | None, *, key: bytes | None = b"key", offset: int = 7) -> ReceivedRecord:
    """A record with a header of its own."""
    record = received(value, key=key, partition=3, offset=offset)
    return record._replace(headers=(("trace", b"\xff"), ("empty", b"")))


async def test_a_refused_record_arrives_raw_with_its_place_and_reason(kafka: KafkaConnection, topics: Topics) -> None:
    """The bytes are as they came; everything that is known of them is in the headers."""
    dead_letters = DeadLetterProducer(kafka, topics)

    await dead_letters.send([(refused(b"\xff{not json"), BAD)])
    await dead_letters.close()

    (record,) = await read_all(kafka, topics.dead_letters, 1)
    assert (record.key, record.value) == (b"key", b"\xff{not json")
    assert dict(record.headers) == {
        "trace": b"\xff",
        "empty": b"",
        "origin-topic": b"routekeeper.commands",
        "origin-epoch": b"epoch",
        "origin-partition": b"3",
        "origin-offset": b"7",
        "refusal-code": b"invalid-field",
        "refusal-field": b"data.x",
        "refusal-value": b'"three"',
        "refusal-reason": b"data.replica_count: \\ud800 is no number",
    }


async def test_records_without_key_or_value_arrive_too(kafka: KafkaConnection, topics: Topics) -> None:
    """Also those that the client library would not send, and any number of them."""
    dead_letters = DeadLetterProducer(kafka, topics)
    records = [refused(None), refused(b"", key=None, offset=8), refused(None, key=None, offset=9)]

    await dead_letters.send([(record, BAD) for record in records])
    await dead_letters.close()

    arrived = await read_all(kafka, topics.dead_letters, 3)
    assert {dict(record.headers)["origin-offset"] for record in arrived} == {b"7", b"8", b"9"}
    assert {record.key for record in arrived} == {b"key", None}


async def test_a_record_too_large_for_the_topic_arrives_shortened(kafka: KafkaConnection, topics: Topics) -> None:
    """What made it too large to be accepted must not keep it from being put aside."""
    small = replace(topics, dead_letter_max_bytes=5000)
    dead_letters = DeadLetterProducer(kafka, small, limits=replace(IMPATIENT, attempt_timeout=10))

    await dead_letters.send([(refused(b"x" * 6000), BAD), (refused(b"fine"), BAD)])
    await dead_letters.close()

    arrived = {record.value: dict(record.headers) for record in await read_all(kafka, topics.dead_letters, 2)}
    assert set(arrived) == {b"x" * 100, b"fine"}
    assert arrived[b"x" * 100]["original-length"] == b"6000"
    assert "trace" not in arrived[b"x" * 100]
    assert "original-length" not in arrived[b"fine"]


async def test_a_broker_that_does_not_answer_is_reported_after_a_bounded_time(topics: Topics) -> None:
    """The caller must not commit what refers to letters that are not there."""
    nowhere = KafkaConnection(bootstrap_servers="127.0.0.1:1")
    dead_letters = DeadLetterProducer(nowhere, topics, limits=IMPATIENT)

    with pytest.raises(DeadLettersUnavailable, match=f"1 refused records were not delivered to {topics.dead_letters}"):
        await dead_letters.send([(refused(b"x"), BAD)])
    await dead_letters.close()
