"""Queries over a range, asked of a server on a socket."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from adapters.prometheus import PrometheusQueries
from handlers.metric_queries import Measurement, MetricQueryFailed
from tests.adapters.prometheus_server import failure, prometheus_server, scalar, success

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
Series = tuple[Mapping[str, str], Sequence[tuple[float, str]]]
ROUTE = UUID("00000001-aaaa-4000-8000-000000000000")


def matrix(*series: Series) -> dict[str, Any]:
    """The data of series, each with labels and with its values at seconds after noon."""
    noon = NOON.timestamp()
    found = [{"metric": m, "values": [[noon + at, value] for at, value in values]} for m, values in series]
    return {"resultType": "matrix", "result": found}


async def asked(answer: bytes) -> list[Measurement]:
    """What a server's answer is understood as."""
    async with prometheus_server(load=answer) as server:
        queries = PrometheusQueries(server.address)
        try:
            found = await queries.ask_range("load", NOON, NOON + timedelta(minutes=1), 30)
        finally:
            await queries.close()
        assert server.asked[0][0] == "POST /api/v1/query_range"
    return list(found)


async def test_every_step_is_a_measurement_and_what_is_no_number_is_none() -> None:
    series: Series = ({}, [(0, "1.5"), (30, "NaN"), (60, "3")])

    assert await asked(success(matrix(series))) == [
        Measurement(1.5, NOON),
        Measurement(3, NOON + timedelta(seconds=60)),
    ]


async def test_series_of_routes_are_told_apart() -> None:
    other = UUID(int=9)
    one, two = ({"route_id": str(ROUTE)}, [(0, "1"), (30, "2")]), ({"route_id": str(other)}, [(0, "5")])

    assert await asked(success(matrix(one, two))) == [
        Measurement(5, NOON, other),
        Measurement(1, NOON, ROUTE),
        Measurement(2, NOON + timedelta(seconds=30), ROUTE),
    ]


async def test_no_series_is_no_measurement() -> None:
    assert await asked(success(matrix())) == []


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (success(matrix(({"pod": "a"}, []), ({"pod": "b"}, []))), "ambiguous: 2 series"),
        (success(scalar("1")), "the answer is not one of Prometheus' API"),
        (success(matrix(({}, [(0, "many")]))), "the value is 'many', which is no number"),
        (failure("400 Bad Request", "bad_data", "exceeded maximum resolution"), "exceeded maximum resolution"),
    ],
)
async def test_what_cannot_be_used_says_why(answer: bytes, complaint: str) -> None:
    with pytest.raises(MetricQueryFailed, match=complaint):
        await asked(answer)
