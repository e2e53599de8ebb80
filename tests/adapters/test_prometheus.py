"""Queries to a server on a socket that speaks Prometheus' HTTP API, and to servers that say anything."""

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from adapters.prometheus import PrometheusLimits, PrometheusQueries
from handlers.metric_queries import Measurement, MetricQueryFailed, QueryAnswer
from tests.adapters.prometheus_server import AT, failure, prometheus_server, scalar, success, vector
from tests.app_proxy_support import Answer, never_answers, resets, response, says, server_answering, trickles

MOMENT = datetime.fromtimestamp(AT, UTC)
ONE, TWO = UUID(int=1), UUID(int=2)
TOKEN = "s3cret-token"


async def ask(address: str, query: str = "load", **more: Any) -> QueryAnswer:  # noqa: ANN401 - any argument of the client
    """Ask a new client one query."""
    queries = PrometheusQueries(address, **more)
    try:
        return await queries.ask(query)
    finally:
        await queries.close()


async def answer_to(data: Mapping[str, Any], *warnings: str) -> QueryAnswer:
    async with prometheus_server(load=success(data, *warnings)) as server:
        return await ask(server.address)


async def complaint_of(answer: Answer, **more: Any) -> str:  # noqa: ANN401 - any argument of the client
    """What is wrong with an answer, in the client's words."""
    async with server_answering(answer) as address:
        with pytest.raises(MetricQueryFailed) as failed:
            await ask(f"http://{address}", **more)
    return str(failed.value)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(scalar("412.5"), [Measurement(412.5, MOMENT)], id="a scalar"),
        pytest.param(vector(({"job": "chat"}, "7")), [Measurement(7.0, MOMENT)], id="a vector of one element"),
        pytest.param(
            vector(({"route_id": str(ONE)}, "1"), ({"route_id": str(TWO), "pod": "b"}, "2.5")),
            [Measurement(1.0, MOMENT, ONE), Measurement(2.5, MOMENT, TWO)],
            id="a vector with an element for each route",
        ),
        pytest.param(
            vector(({"route_id": str(ONE)}, "1")), [Measurement(1.0, MOMENT, ONE)], id="the only route there is"
        ),
        pytest.param(vector(), [], id="nothing"),
    ],
)
async def test_what_an_answer_measures(data: Mapping[str, Any], expected: list[Measurement]) -> None:
    assert (await answer_to(data)).measurements == expected


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (vector(({}, "1"), ({"job": "b"}, "2")), "ambiguous: 2 series without a route_id label"),
        (vector(({"route_id": str(ONE)}, "1"), ({}, "2")), "ambiguous: 2 series without a route_id label"),
        (vector(({"route_id": str(ONE)}, "1"), ({"route_id": str(ONE), "pod": "b"}, "2")), "several series of route"),
        (vector(({"route_id": "a"}, "1"), ({"route_id": "b"}, "2")), "'a', which is no route's id"),
        (scalar("NaN"), "the value is NaN"),
        (vector(({}, "+Inf")), "the value is +Inf"),
        (scalar("many"), "'many', which is no number"),
        ({"resultType": "matrix", "result": []}, "gives a matrix"),
        ({"resultType": "string", "result": [AT, "x"]}, "gives a string"),
        ({"resultType": "vector", "result": [{"metric": {}, "histogram": [AT, {}]}]}, "gives a histogram"),
        ({"resultType": "scalar", "result": [-1, "1"]}, "not one of Prometheus' API"),
        ({"resultType": "scalar", "result": [1e300, "1"]}, "not one of Prometheus' API"),
    ],
)
async def test_an_answer_that_is_not_clear_is_no_measurement(data: Mapping[str, Any], complaint: str) -> None:
    with pytest.raises(MetricQueryFailed) as failed:
        await answer_to(data)

    assert complaint in str(failed.value)


async def test_a_route_without_a_finite_value_is_left_out_and_warned_of() -> None:
    answer = await answer_to(vector(({"route_id": str(ONE)}, "NaN"), ({"route_id": str(TWO)}, "3")))

    assert answer.measurements == [Measurement(3.0, MOMENT, TWO)]
    assert answer.warnings == (f"the value of route {ONE} is NaN",)


async def test_warnings_of_the_server_are_kept() -> None:
    answer = await answer_to(scalar("1"), "a store did not answer", "evil\x1b[2J")

    assert answer.warnings == ("a store did not answer", "evil\N{REPLACEMENT CHARACTER}[2J")


async def test_a_query_is_posted_below_the_address_with_the_token_of_that_moment() -> None:
    tokens = iter([TOKEN, "another"])
    async with prometheus_server(load=success(scalar("1"))) as server:
        queries = PrometheusQueries(f"{server.address}/prometheus/", token=lambda: next(tokens))
        await queries.ask("load")
        await queries.ask("load")
        await queries.close()

    assert [(line, headers["authorization"]) for line, _, headers in server.asked] == [
        ("POST /prometheus/api/v1/query", f"Bearer {TOKEN}"),
        ("POST /prometheus/api/v1/query", "Bearer another"),
    ]


async def test_without_a_token_none_is_sent() -> None:
    async with prometheus_server(load=success(scalar("1"))) as server:
        await ask(server.address)

    assert "authorization" not in server.asked[0][2]


async def test_where_queries_are_not_taken_by_post_they_are_sent_by_get_from_then_on() -> None:
    async with prometheus_server(load=success(scalar("1"))) as server:
        server.takes_post = False
        queries = PrometheusQueries(server.address)
        for _ in range(2):
            assert (await queries.ask("load")).measurements == [Measurement(1.0, MOMENT)]
        await queries.close()

    assert [line.split()[0] for line, *_ in server.asked] == ["POST", "GET", "GET"]


async def test_the_servers_own_words_on_a_bad_query_are_repeated() -> None:
    async with prometheus_server() as server:
        with pytest.raises(MetricQueryFailed, match="answered 400: bad_data: unknown query sum"):
            await ask(server.address, "sum(")


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (says(response("503 Service Unavailable", b"busy")), "answered 503"),
        (says(failure("422 Unprocessable Entity", "execution", "too many samples")), "execution: too many samples"),
        (says(response("302 Found", b"", "Location: http://127.0.0.1:1/")), "answered 302"),
        (says(response("200 OK", b"hello")), "not one of Prometheus' API"),
        (says(response("200 OK", json.dumps({"status": "success"}).encode())), "not one of Prometheus' API"),
        (says(response("200 OK", b"[" * 900)), "not one of Prometheus' API"),
        (says(response("200 OK", b" " * 1001)), "over 1000 bytes"),
        (says(response("500 Internal Server Error", b" " * 100_000)), "answered 500"),
        (resets, "Error"),
        (never_answers, "no answer within 0.2 s"),
        (trickles, "no answer within 0.2 s"),
    ],
)
async def test_whatever_a_server_does_is_a_failure_with_a_reason(answer: Answer, complaint: str) -> None:
    limits = PrometheusLimits(max_body_bytes=1000, timeout_seconds=0.2 if "no answer" in complaint else 30)

    assert complaint in await complaint_of(answer, limits=limits)


async def test_a_server_that_is_not_there_is_a_failure() -> None:
    with pytest.raises(MetricQueryFailed, match="ConnectError"):
        await ask("http://127.0.0.1:1")


async def test_a_token_is_in_no_message_log_or_repr(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    said = [
        await complaint_of(answer, token=lambda: TOKEN, limits=PrometheusLimits(timeout_seconds=0.2))
        for answer in (resets, never_answers, says(response("401 Unauthorized", b"")))
    ]
    said.append(await complaint_of(resets, token=lambda: f"{TOKEN}\r\n"))

    assert TOKEN not in "".join([*said, caplog.text, repr(PrometheusQueries("http://p", token=lambda: TOKEN))])


async def test_a_token_that_cannot_be_had_fails_the_query_and_not_the_client() -> None:
    def gone() -> str:
        raise ValueError("token file /run/token cannot be read")

    assert "there is no token: token file /run/token" in await complaint_of(resets, token=gone)


@pytest.mark.parametrize(
    ("address", "complaint"),
    [
        ("prometheus:9090", "has to be http"),
        ("ftp://prometheus", "has to be http"),
        ("http://prometheus:port", "has to be http"),
        ("http://", "has to be http"),
        (f"http://me:{TOKEN}@prometheus", "holds credentials"),
        ("http://prometheus/?x=1", "no ? or #"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_without_repeating_it(address: str, complaint: str) -> None:
    with pytest.raises(ValueError, match="address of Prometheus") as refused:
        PrometheusQueries(address)

    assert complaint in str(refused.value)
    assert TOKEN not in str(refused.value)
