"""Understands records from Kafka, or says precisely why not."""

from dataclasses import dataclass, replace
from math import isfinite
from typing import Annotated
from uuid import UUID

from pydantic import Field, ValidationError

from adapters.kafka.cloud_events import ANY_RECORD, AnyRecord, Sending, placed_by
from adapters.kafka.encoding import topic_of
from adapters.kafka.json_guard import holds_not_a_number, holds_nul, is_deeper_than, more_values_than
from adapters.kafka.refusals import RefusalCode, explain, find_value, refusal, shown_value
from adapters.kafka.topics import Topics
from domain.autoscaling.samples import MetricsReport
from domain.pauses import PAUSES_ID, PauseEffects, ResumeEffects
from domain.quantities import Bytes, Count
from domain.trace import TraceContext, trace_context
from handlers.records import (
    CommandRecord,
    ParsedRecord,
    PauseRecord,
    ReceivedRecord,
    Refusal,
    SamplesRecord,
    Sender,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordLimits:
    """How large a record's value may be (bytes), how deep its JSON (levels of objects and arrays), how many values.

    The last one bounds the time that a record full of errors takes: each of its values may have one or more.
    """

    max_bytes: Bytes = 1024 * 1024
    max_depth: Annotated[int, Field(ge=1, le=100)] = 32
    max_values: Count = 10_000


_DEFAULT_LIMITS = RecordLimits()
_DEFAULT_TOPICS = Topics()
_TRACE_HEADERS = frozenset({"traceparent", "tracestate"})


def parse_record(
    record: ReceivedRecord, limits: RecordLimits = _DEFAULT_LIMITS, topics: Topics = _DEFAULT_TOPICS
) -> ParsedRecord:
    """Understand a record, or say why not; never raises for what the record holds."""
    value = record.value or b""
    if (unread := _unreadable(value, limits)) is not None:
        return unread
    try:
        envelope = ANY_RECORD.validate_json(value, strict=True)
    except ValidationError as error:
        return replace(explain(error, value), sender=_sender(value))
    trace = _trace(record, envelope)
    sender = Sender(source=envelope.source, id=envelope.id, type=envelope.type, actor=envelope.actor, trace=trace)
    problem = _unstorable(value) or _misplaced(record, envelope, topics)
    if problem is not None:
        return replace(problem, sender=_sender(value))
    match envelope.data:
        case MetricsReport():
            return SamplesRecord(envelope.data, sender)
        case PauseEffects() | ResumeEffects():
            return PauseRecord(envelope.data, sender)
        case _:
            return CommandRecord(envelope.data, sender)


def _trace(record: ReceivedRecord, envelope: AnyRecord) -> TraceContext | None:
    """What the record's headers say, which is nearer than what came with the CloudEvent from where it began."""
    headers = {
        name: value.decode("ascii", errors="replace") for name, value in record.headers if name in _TRACE_HEADERS
    }
    by_headers = trace_context(headers.get("traceparent"), headers.get("tracestate", "")) if headers else None
    return by_headers or trace_context(envelope.traceparent, envelope.tracestate)


def _unreadable(value: bytes, limits: RecordLimits) -> Refusal | None:
    if not value:
        return refusal(RefusalCode.EMPTY_VALUE, "the record has no value")
    if len(value) > limits.max_bytes:
        reason = f"the value has {len(value)} bytes, the limit is {limits.max_bytes}"
        return refusal(RefusalCode.TOO_LARGE, reason, value=str(len(value)))
    if more_values_than(value, limits.max_values):
        many = refusal(RefusalCode.TOO_LARGE, f"the value holds more than {limits.max_values} JSON values")
        return replace(many, sender=_sender(value))
    if is_deeper_than(value, limits.max_depth):
        deep = refusal(RefusalCode.TOO_DEEP, f"the value is nested more than {limits.max_depth} levels deep")
        return replace(deep, sender=_sender(value))
    return None


def _unstorable(value: bytes) -> Refusal | None:
    """What pydantic lets pass in attributes that it does not look into, or in any text."""
    if holds_not_a_number(value):
        found = find_value(value, lambda each: isinstance(each, float) and not isfinite(each))
        said = "NaN and Infinity are not JSON"
        return refusal(RefusalCode.NOT_A_NUMBER, f"{found.field}: {said}", field=found.field, value=found.shown)
    if holds_nul(value):
        found = find_value(value, lambda each: isinstance(each, str) and "\0" in each)
        said = f"text must not hold the NUL character, not {found.shown}"
        return refusal(RefusalCode.INVALID_FIELD, f"{found.field}: {said}", field=found.field, value=found.shown)
    return None


def _misplaced(record: ReceivedRecord, envelope: AnyRecord, topics: Topics) -> Refusal | None:
    belongs = topic_of(envelope.data, topics)
    if record.origin.topic != belongs:
        reason = f"type {envelope.type} belongs on topic {belongs}, not on {record.origin.topic}"
        return refusal(RefusalCode.WRONG_TOPIC, reason, field="type", value=shown_value(envelope.type))
    wanted = placed_by(envelope.data)
    text = str(wanted)
    has_other_subject = envelope.subject is not None and envelope.subject != text
    if not has_other_subject and record.key == text.encode():
        return None
    what = "the control id" if wanted == PAUSES_ID else "data.deployment_id"
    if has_other_subject:
        shown = shown_value(envelope.subject)
        reason = f"subject is {shown}, but {what} is {wanted}"
        return refusal(RefusalCode.INVALID_FIELD, reason, field="subject", value=shown)
    return _key_problem(record.key, wanted, what)


def _key_problem(key: bytes | None, wanted: UUID, what: str) -> Refusal:
    if not key:
        return refusal(RefusalCode.MISSING_KEY, f"the record has no key; it must be {wanted}", field="key")
    shown = shown_value(key.decode("utf-8", errors="backslashreplace"))
    reason = f"the key is {shown}; it must be {what} as lower-case text, {wanted}"
    return refusal(RefusalCode.WRONG_KEY, reason, field="key", value=shown)


def _sender(value: bytes) -> Sender | None:
    """Who sent a record, as far as that can be read of one that was not understood."""
    try:
        sending = Sending.model_validate_json(value, strict=True)
    except ValidationError:
        return None
    if holds_nul(value) and "\0" in f"{sending.source}{sending.id}{sending.type}{sending.actor}":
        return None
    return Sender(source=sending.source, id=sending.id, type=sending.type, actor=sending.actor)
