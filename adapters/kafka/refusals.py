"""Why a record is refused, in words: the field at fault and what it held."""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from adapters.kafka.cloud_events import TYPE_NAMES
from handlers.records import Refusal

MAX_VALUE_LENGTH = 100
MAX_FIELD_LENGTH = 200
MAX_REASON_LENGTH = 1000
# An integer with more bits than this is longer than what is shown of it.
_MAX_SHOWN_BITS = 512


class RefusalCode(StrEnum):
    """Why a record was not understood, in a word that programs may compare."""

    EMPTY_VALUE = "empty-value"
    TOO_LARGE = "too-large"
    TOO_DEEP = "too-deep"
    NOT_UTF_8 = "not-utf-8"
    INVALID_JSON = "invalid-json"
    NOT_A_NUMBER = "not-a-number"
    UNKNOWN_TYPE = "unknown-type"
    INVALID_FIELD = "invalid-field"
    WRONG_TOPIC = "wrong-topic"
    MISSING_KEY = "missing-key"
    WRONG_KEY = "wrong-key"


class FoundValue(NamedTuple):
    """Where something stands in a JSON document, and the thing itself, both as they are shown."""

    field: str
    shown: str


def refusal(code: RefusalCode, reason: str, *, field: str = "", value: str = "") -> Refusal:
    """A refusal whose reason fits where it is kept."""
    return Refusal(code=code, reason=_cut(reason, MAX_REASON_LENGTH), field=field, value=value)


def explain(error: ValidationError, text: bytes) -> Refusal:
    """Say what was wrong with ``text``, by the first of the errors."""
    detail = error.errors(include_url=False)[0]
    match detail["type"]:
        case "json_invalid":
            return _not_json(detail, text)
        case "union_tag_invalid":
            shown = shown_value(detail["input"].get("type"))
            known = ", ".join(sorted(TYPE_NAMES))
            return refusal(
                RefusalCode.UNKNOWN_TYPE, f"type {shown} is not known, only {known}", field="type", value=shown
            )
        case "union_tag_not_found":
            return refusal(RefusalCode.INVALID_FIELD, "type: field required", field="type")
        case _:
            return _invalid_field(detail)


def shown_value(value: object) -> str:
    """A scalar as JSON writes it, cut to 100 characters; empty for anything larger than a scalar."""
    match value:
        case int() if value.bit_length() > _MAX_SHOWN_BITS:
            return f"an integer of {value.bit_length()} bits"
        case None | bool() | int() | float():
            return json.dumps(value)
        case str():
            return _cut(json.dumps(value[: MAX_VALUE_LENGTH + 1], ensure_ascii=False), MAX_VALUE_LENGTH)
        case _:
            return ""


def shown_path(path: Sequence[str | int]) -> str:
    """A dotted path such as ``data.rules.0.step``, cut to 200 characters."""
    return _cut(".".join(_shown_step(step) for step in path), MAX_FIELD_LENGTH)


def find_value(text: bytes, wanted: Callable[[object], bool]) -> FoundValue:
    """Find the first scalar, or name of an object's member, that is ``wanted``; all empty if there is none."""
    try:
        document = json.loads(text)
    except ValueError:
        return FoundValue("", "")
    for path, value in _scalars(document, ()):
        if wanted(value):
            return FoundValue(shown_path(path), shown_value(value))
    return FoundValue("", "")


def _scalars(value: object, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], object]]:
    match value:
        case dict():
            for name, member in value.items():
                yield (*path, name), name
                yield from _scalars(member, (*path, name))
        case list():
            for number, member in enumerate(value):
                yield from _scalars(member, (*path, number))
        case _:
            yield path, value


def _shown_step(step: str | int) -> str:
    if isinstance(step, int):
        return str(step)
    step = step[:MAX_FIELD_LENGTH]
    return step if step.isprintable() else json.dumps(step)[1:-1]


def _not_json(detail: ErrorDetails, text: bytes) -> Refusal:
    try:
        text.decode()
    except UnicodeDecodeError as error:
        reason = f"byte {error.start} is not valid UTF-8: {error.reason}"
        return refusal(RefusalCode.NOT_UTF_8, reason)
    return refusal(RefusalCode.INVALID_JSON, detail["msg"])


def _invalid_field(detail: ErrorDetails) -> Refusal:
    path = detail["loc"]
    field = shown_path(path[1:] if path and path[0] in TYPE_NAMES else path)
    is_missing = detail["type"] == "missing"
    given = detail["input"]
    value = "" if is_missing else shown_value(given)
    said = detail["msg"].removeprefix("Value error, ")
    said = said[:1].lower() + said[1:]
    got = f", not {value}" if value else ""
    code = RefusalCode.INVALID_FIELD
    if isinstance(given, float) and not math.isfinite(given):
        code = RefusalCode.NOT_A_NUMBER
    return refusal(code, f"{field or 'the record'}: {said}{got}", field=field, value=value)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"
