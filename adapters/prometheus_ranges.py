"""What Prometheus answers to a query over a range, read as strictly as the answers to instant queries."""

from collections.abc import Sequence
from datetime import UTC, datetime
from math import isfinite
from typing import Annotated, Final, Literal
from uuid import UUID

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from adapters.prometheus_answers import ROUTE_LABEL, Failure, number_in, route_in, words_of
from handlers.metric_queries import Measurement, MetricQueryFailed


class _Series(BaseModel):
    metric: dict[str, str] = {}
    values: list[tuple[float, str]] = []


class _Matrix(BaseModel):
    resultType: Literal["matrix"]  # noqa: N815 - the API's name
    result: list[_Series]


class _Success(BaseModel):
    status: Literal["success"]
    data: _Matrix


_ANSWER: Final[TypeAdapter[_Success | Failure]] = TypeAdapter(
    Annotated[_Success | Failure, Field(discriminator="status")]
)


def read_range(body: bytes) -> Sequence[Measurement]:
    """Read the body of an answer to a query over a range, oldest first. Raises :class:`MetricQueryFailed`.

    What is no finite number is left out: at that moment there was no measurement.
    """
    try:
        answer = _ANSWER.validate_json(body)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, problem["loc"]))
        raise MetricQueryFailed(f"the answer is not one of Prometheus' API: {where}: {problem['msg']}"[:200]) from None
    if isinstance(answer, Failure):
        raise MetricQueryFailed(words_of(answer))
    found = [
        Measurement(number, datetime.fromtimestamp(seconds, UTC), route_id)
        for route_id, series in _by_route(answer.data.result).items()
        for seconds, text in series.values
        if isfinite(number := number_in(text))
    ]
    return sorted(found, key=lambda each: (each.at, str(each.route_id)))


def _by_route(result: Sequence[_Series]) -> dict[UUID | None, _Series]:
    found: dict[UUID | None, _Series] = {}
    for series in result:
        route_id = route_in(series.metric)
        if route_id in found or (route_id is None and len(result) > 1):
            raise MetricQueryFailed(
                f"ambiguous: {len(result)} series; aggregate to one, or to one for each {ROUTE_LABEL}"
            )
        found[route_id] = series
    return found
