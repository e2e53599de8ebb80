import json
from typing import Any, get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.kafka.cloud_events import TYPE_NAMES
from adapters.kafka.envelope import RecordLimits, parse_record
from adapters.kafka.topics import Topics
from handlers.records import CommandRecord, ParsedRecord, Refusal
from tests.kafka_support import received, replica_command

KEY, VALUE = replica_command()
LIMITS = RecordLimits(max_bytes=2000, max_depth=8, max_values=200)

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=5),
    max_leaves=20,
)


def check(parsed: ParsedRecord) -> None:
    """What must hold for every record whatever it holds: understood, or a refusal that fits where it is stored."""
    assert isinstance(parsed, get_args(ParsedRecord))
    if isinstance(parsed, Refusal):
        assert parsed.reason
        assert len(parsed.value) <= 100
        assert len(parsed.field) <= 200
        assert len(parsed.reason) <= 1000
        assert "\0" not in f"{parsed.value}{parsed.field}{parsed.reason}"
        f"{parsed.value}{parsed.field}{parsed.reason}".encode()


@given(value=st.none() | st.binary(max_size=200), key=st.none() | st.binary(max_size=50))
def test_arbitrary_bytes_never_raise(value: bytes | None, key: bytes | None) -> None:
    """Nor do they ever pass for a record."""
    parsed = parse_record(received(value, key=key), LIMITS)

    check(parsed)
    assert isinstance(parsed, Refusal)


@given(at=st.integers(0, len(VALUE)), length=st.integers(0, 20), instead=st.binary(max_size=20))
@settings(max_examples=300)
def test_a_valid_record_with_any_bytes_replaced_never_raises(at: int, length: int, instead: bytes) -> None:
    """Bit rot, truncation and concatenation included."""
    check(parse_record(received(VALUE[:at] + instead + VALUE[at + length :], key=KEY), LIMITS))


@given(
    members=st.dictionaries(st.sampled_from([*json.loads(VALUE), "extra"]), anything),
    data=st.dictionaries(st.sampled_from(["deployment_id", "replica_count", "reports", "samples", "policy"]), anything),
    type_name=st.sampled_from(sorted(TYPE_NAMES)),
    topic=st.sampled_from(Topics().inputs),
)
@settings(max_examples=300)
def test_a_valid_record_with_any_member_replaced_never_raises(
    members: dict[str, Any], data: dict[str, Any], type_name: str, topic: str
) -> None:
    """Every type, on every topic, with anything where something else is expected."""
    document = {**json.loads(VALUE), "type": type_name}
    document["data"] |= data
    value = json.dumps(document | members).encode("utf-8", errors="surrogatepass")

    check(parse_record(received(value, key=KEY, topic=topic), LIMITS))


def test_the_record_that_the_others_are_made_from_is_valid() -> None:
    """Or else the properties above would be about nothing."""
    assert isinstance(parse_record(received(VALUE, key=KEY), LIMITS), CommandRecord)
