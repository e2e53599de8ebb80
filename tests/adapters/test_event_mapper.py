"""Events become rows and rows become events again, whatever the events hold and whatever the rows name."""

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import ClassVar
from uuid import UUID

import pytest
from eventsourcing.persistence import StoredEvent
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.event_store.mapper import EventMapper
from domain.events import CommandHadNoEffect, EndpointRegistered, Event
from domain.recorded import AnyEvent, OperationCause, RecordCause, RecordedEvent
from domain.registry import EVENT_TYPES
from domain.rejections import RecordsRejected, RejectedRecord
from handlers.ports import UnknownEventType
from tests.domain.golden_examples import EXAMPLES

STREAM = UUID("0198c0de-0000-4000-8000-000000000001")
AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
GOLDEN = Path(__file__).resolve().parent.parent / "data" / "golden"

OPERATION = OperationCause(operation="scale_deployment")
BARE_RECORD = RecordCause(topic="commands", epoch="", partition=0, offset=0)
RECORD = RecordCause(
    topic="commands",
    epoch="epoch-1",
    partition=3,
    offset=9_007_199_254_740_993,
    source="/console",
    id="7",
    type="set-replica-count",
    actor="operator",
)

#: What the library's own transcoder would take for something to construct, and other things that are no words.
POISON = [
    '{"_type_":"os:system","_data_":"true"}',
    '{"_type_": "uuid_hex", "_data_": 1}',
    '"}],"event":{"at":"2026-03-01T12:00:00Z"',
    "\0\u2028\x7f\\\"'$ref",
    "deployment.ready.v1",
    "数\N{ZERO WIDTH JOINER}\N{GRINNING FACE}",
]

examples = pytest.mark.parametrize(
    "event", [event for pair in EXAMPLES for event in pair], ids=lambda event: event.name
)


@pytest.fixture(scope="module")
def mapper() -> EventMapper:
    return EventMapper()


def row(topic: str, state: object) -> StoredEvent:
    return StoredEvent(originator_id=STREAM, originator_version=1, topic=topic, state=json.dumps(state).encode())


def there_and_back(event: AnyEvent, cause: RecordCause | OperationCause = OPERATION) -> RecordedEvent:
    mapper = EventMapper()
    return mapper.to_recorded(mapper.to_stored(RecordedEvent(STREAM, 5, cause, event)))


def test_there_is_an_example_of_every_event() -> None:
    assert {event.name for pair in EXAMPLES for event in pair} == set(EVENT_TYPES)


@examples
@pytest.mark.parametrize("cause", [OPERATION, BARE_RECORD, RECORD], ids=["operation", "bare-record", "record"])
def test_an_event_comes_back_as_it_was(event: AnyEvent, cause: RecordCause | OperationCause) -> None:
    back = there_and_back(event, cause)

    assert back == RecordedEvent(STREAM, 5, cause, event)
    assert type(back.event) is type(event)
    assert type(back.cause) is type(cause)


@examples
def test_a_row_holds_the_stable_name_and_plain_json_and_nothing_of_any_class(
    mapper: EventMapper, event: AnyEvent
) -> None:
    stored = mapper.to_stored(RecordedEvent(STREAM, 5, RECORD, event))

    assert (stored.originator_id, stored.originator_version, stored.topic) == (STREAM, 5, event.name)
    state = json.loads(stored.state)
    assert state.keys() == {"cause", "event"}
    assert type(event).__name__ not in stored.state.decode()


@pytest.mark.parametrize("name", EVENT_TYPES)
def test_rows_of_earlier_versions_are_understood(mapper: EventMapper, name: str) -> None:
    """The golden files hold each event as it was first written."""
    golden = json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))

    for state in golden.values():
        recorded = mapper.to_recorded(row(name, {"cause": {"kind": "operation", "operation": "x"}, "event": state}))
        assert recorded.event.name == name


@pytest.mark.parametrize("text", POISON)
def test_text_that_looks_like_machinery_stays_text(text: str) -> None:
    rejected = RejectedRecord(
        offset=0, digest=text, length=0, code=text, field=text, value=text, reason=text, key=text, source=text, id=text
    )
    refused = RecordsRejected(at=AT, topic=text, epoch=text, partition=0, records=(rejected,))
    cause = RECORD.model_copy(update={"source": text, "id": text, "type": text, "actor": text})

    assert there_and_back(refused, cause) == RecordedEvent(STREAM, 5, cause, refused)


@settings(max_examples=50, deadline=None)
@given(texts=st.lists(st.text(max_size=50), min_size=6, max_size=6))
def test_any_text_comes_back_as_it_was(texts: list[str]) -> None:
    url, reason, source, id_, type_, actor = texts
    cause = RECORD.model_copy(update={"source": source, "id": id_, "type": type_, "actor": actor})
    registered = EndpointRegistered(at=AT, url=url)
    nothing = CommandHadNoEffect(at=AT, command="create", reason=reason)

    assert there_and_back(registered, cause) == RecordedEvent(STREAM, 5, cause, registered)
    assert there_and_back(nothing, cause) == RecordedEvent(STREAM, 5, cause, nothing)


@settings(max_examples=50, deadline=None)
@given(at=st.timedeltas(-timedelta(days=9000), timedelta(days=9000)).map(AT.__add__), hours=st.integers(-12, 14))
def test_a_moment_comes_back_as_the_same_moment_to_the_microsecond(at: datetime, hours: int) -> None:
    with_offset = EndpointRegistered(at=at, url="u").model_copy(
        update={"at": at.replace(tzinfo=timezone(timedelta(hours=hours)))}
    )

    assert there_and_back(EndpointRegistered(at=at, url="u")).event.at == at
    assert there_and_back(with_offset).event.at == with_offset.at


@pytest.mark.parametrize("topic", ["", "os:system", "domain.events:EndpointRegistered", "deployment.ready.v2"])
def test_a_row_of_another_name_is_not_understood_and_says_which(mapper: EventMapper, topic: str) -> None:
    with pytest.raises(UnknownEventType, match="does not know") as caught:
        mapper.to_recorded(row(topic, {}))

    assert repr(topic) in str(caught.value)


def test_an_event_that_is_not_registered_is_not_stored(mapper: EventMapper) -> None:
    class Private(Event):
        name: ClassVar[str] = "deployment.private.v1"

    recorded = RecordedEvent(STREAM, 1, OPERATION, Private(at=AT))  # type: ignore[arg-type] # it is not one of the union

    with pytest.raises(UnknownEventType, match=r"deployment\.private\.v1"):
        mapper.to_stored(recorded)


@pytest.mark.parametrize(
    "state",
    [
        {"event": {"at": "2026-03-01T12:00:00Z", "url": "u"}},
        {"cause": {"kind": "rumour"}, "event": {"at": "2026-03-01T12:00:00Z", "url": "u"}},
        {"cause": {"kind": "operation", "operation": "x"}, "event": {"at": "2026-03-01T12:00:00Z"}},
        {
            "cause": {"kind": "operation", "operation": "x"},
            "event": {"at": "2026-03-01T12:00:00Z", "url": "u", "new": 1},
        },
    ],
    ids=["no-cause", "unknown-cause", "field-missing", "field-unknown"],
)
def test_a_row_with_another_shape_than_its_name_says_is_never_half_understood(
    mapper: EventMapper, state: object
) -> None:
    with pytest.raises(UnknownEventType, match="has another shape"):
        mapper.to_recorded(row(EndpointRegistered.name, state))
