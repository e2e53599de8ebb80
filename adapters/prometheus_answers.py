"""What Prometheus answers to an instant query, read strictly: what is not clear is not a measurement."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from math import isfinite
from typing import Annotated, Any, Final, Literal, assert_never
from uuid import UUID

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from handlers.metric_queries import Measurement, MetricQueryFailed, QueryAnswer

#: The label by which a vector of several elements says which route each is of.
ROUTE_LABEL: Final = "route_id"

#: Most characters of the server's own words that are repeated, and most of its warnings (count).
_MAX_REPEATED: Final = 200
_MAX_WARNINGS: Final = 10

_Seconds = Annotated[float, Field(ge=0, lt=200_000_000_000)]
_Value = tuple[_Seconds, str]


class _Element(BaseModel):
    metric: dict[str, str] = {}
    value: _Value | None = None


class _Scalar(BaseModel):
    resultType: Literal["scalar"]  # noqa: N815 - the API's name
    result: _Value


class _Vector(BaseModel):
    resultType: Literal["vector"]  # noqa: N815 - the API's name
    result: list[_Element]


class _Other(BaseModel):
    resultType: Literal["matrix", "string"]  # noqa: N815 - the API's name
    result: Any


class _Success(BaseModel):
    status: Literal["success"]
    data: Annotated[_Scalar | _Vector | _Other, Field(discriminator="resultType")]
    warnings: list[str] = []


class Failure(BaseModel):
    """What the API says where it cannot answer."""

    status: Literal["error"]
    errorType: str = ""  # noqa: N815 - the API's name
    error: str = ""


_ANSWER: Final[TypeAdapter[_Success | Failure]] = TypeAdapter(
    Annotated[_Success | Failure, Field(discriminator="status")]
)


def read_answer(body: bytes) -> QueryAnswer:
    """Read the body of an answer to an instant query. Raises :class:`MetricQueryFailed`.

    A vector without elements is an answer without measurements. An element that is no finite number is left out and
    warned of; where no other is left, the answer is refused.
    """
    answer = _parsed(body)
    if isinstance(answer, Failure):
        raise MetricQueryFailed(words_of(answer))
    match answer.data:
        case _Scalar(result=value):
            measurements, warnings = _finite([(value, None)])
        case _Vector(result=elements):
            measurements, warnings = _finite(_by_route(elements))
        case _Other():
            kind = answer.data.resultType
            raise MetricQueryFailed(f"the query gives a {kind}, but has to give a scalar or an instant vector")
        case _:
            assert_never(answer.data)
    told = [_clean(warning) for warning in answer.warnings[:_MAX_WARNINGS]]
    return QueryAnswer(measurements, (*told, *warnings))


def reason_in(body: bytes) -> str:
    """What an answer other than success says of itself, to be put behind its status."""
    try:
        answer = _parsed(body)
    except MetricQueryFailed:
        return ""
    return f": {words_of(answer)}" if isinstance(answer, Failure) else ""


def _parsed(body: bytes) -> _Success | Failure:
    try:
        return _ANSWER.validate_json(body)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, problem["loc"]))
        said = f"{where}: {problem['msg']}" if where else problem["msg"]
        raise MetricQueryFailed(f"the answer is not one of Prometheus' API: {said}"[:_MAX_REPEATED]) from None


def _by_route(elements: Sequence[_Element]) -> list[tuple[_Value, UUID | None]]:
    found: dict[UUID | None, _Value] = {}
    for element in elements:
        if element.value is None:
            raise MetricQueryFailed("the query gives a histogram: take a quantile or a rate of it")
        route_id = route_in(element.metric)
        if route_id is None and len(elements) > 1:
            raise MetricQueryFailed(
                f"ambiguous: {len(elements)} series without a {ROUTE_LABEL} label each; aggregate to one, or by "
                f"({ROUTE_LABEL})"
            )
        if route_id in found:
            raise MetricQueryFailed(f"ambiguous: several series of route {route_id}; aggregate by ({ROUTE_LABEL})")
        found[route_id] = element.value
    return [(value, route_id) for route_id, value in found.items()]


def route_in(labels: Mapping[str, str]) -> UUID | None:
    """The route that a series' labels name, if any. Raises :class:`MetricQueryFailed`."""
    label = labels.get(ROUTE_LABEL)
    if label is None:
        return None
    try:
        return UUID(label)
    except ValueError:
        raise MetricQueryFailed(f"label {ROUTE_LABEL} is {_clean(label)!r}, which is no route's id") from None


def _finite(values: Sequence[tuple[_Value, UUID | None]]) -> tuple[list[Measurement], list[str]]:
    measurements, odd = [], []
    for (seconds, text), route_id in values:
        number = number_in(text)
        if isfinite(number):
            measurements.append(Measurement(number, datetime.fromtimestamp(seconds, UTC), route_id))
        else:
            odd.append(f"the value{f' of route {route_id}' if route_id else ''} is {_clean(text)}")
    if odd and not measurements:
        raise MetricQueryFailed(f"{odd[0]}, which is no measurement")
    return measurements, odd[:_MAX_WARNINGS]


def number_in(text: str) -> float:
    """The number that a value's text stands for, perhaps not a finite one. Raises :class:`MetricQueryFailed`."""
    try:
        return float(text)
    except ValueError:
        raise MetricQueryFailed(f"the value is {_clean(text)!r}, which is no number") from None


def words_of(answer: Failure) -> str:
    """The server's own words on what went wrong."""
    return _clean(f"{answer.errorType or 'error'}: {answer.error or 'no reason given'}")


def _clean(text: str) -> str:
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text[:_MAX_REPEATED])
