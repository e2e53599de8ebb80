"""What the client makes of servers that say anything."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import UUID

import httpx
import pytest

from domain.failures import FailureKind
from handlers.app_proxy import AppProxyClient
from handlers.app_proxy_errors import (
    AnswerNotUnderstood,
    ProxyFailed,
    ProxyTimedOut,
    failure_kind,
)
from handlers.client_session import ClientSession
from tests.app_proxy_support import (
    Answer,
    create_body,
    error_of,
    resets,
    response,
    says,
    server_answering,
    trickles,
)

TOKEN = "s3cret-token-of-the-proxy"
ID = UUID("7b0c6a52-0000-4000-8000-000000000001")
BODY = create_body(ID)


@pytest.fixture
async def session() -> AsyncIterator[ClientSession]:
    async with httpx.AsyncClient(trust_env=False) as http:
        yield http


async def create_at(session: ClientSession, answer: Answer, *, timeout_seconds: float = 10) -> object:
    async with server_answering(answer) as address:
        client = AppProxyClient(session, address, TOKEN, timeout_seconds=timeout_seconds)
        return await client.create_endpoint(ID, BODY)


async def delete_at(session: ClientSession, answer: Answer, *, timeout_seconds: float = 10) -> None:
    async with server_answering(answer) as address:
        await AppProxyClient(session, address, TOKEN, timeout_seconds=timeout_seconds).delete_endpoint(ID)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"", "body: Invalid JSON"),
        (b"<html>It works!</html>", "body: Invalid JSON"),
        (b'{"endpoint": "http://a/', "body: Invalid JSON"),
        (b"[" * 60_000, "body: Invalid JSON"),
        (b"null", "body: "),
        (b'["http://a/"]', "body: "),
        (b'{"success": true}', "endpoint: Field required"),
        (b'{"endpoint": null}', "endpoint: "),
        (b'{"endpoint": 1}', "endpoint: "),
        (b'{"endpoint": ""}', "endpoint: "),
        (b'{"endpoint": "ftp://a/"}', "endpoint: "),
        (b'{"endpoint": "http:///path"}', "endpoint: "),
        (b'{"endpoint": "http://a/\\n"}', "endpoint: "),
        (b'{"endpoint": "http://[a/"}', "endpoint: "),
        (b'{"endpoint": "http://a/' + b"x" * 2000 + b'"}', "endpoint: "),
        (b'{"endpoint": "http://a/", "success": false}', "success = false"),
        (b"\xff\xfe", "body: "),
    ],
)
async def test_a_success_with_a_body_that_is_not_the_promised_one_is_unknown(
    session: ClientSession, body: bytes, complaint: str
) -> None:
    raised = await error_of(create_at(session, says(response("200 OK", body))))

    assert isinstance(raised, AnswerNotUnderstood)
    assert complaint in str(raised)
    assert len(str(raised)) < 400


@pytest.mark.parametrize("status", ["200 OK", "202 Accepted", "204 No Content"])
async def test_a_delete_needs_no_body(session: ClientSession, status: str) -> None:
    raw = f"HTTP/1.1 {status}\r\nConnection: close\r\n\r\n".encode()

    await delete_at(session, says(raw))


async def test_the_request_is_as_the_proxy_wants_it(session: ClientSession) -> None:
    requests: list[bytes] = []

    async def record(request: bytes, writer: asyncio.StreamWriter) -> None:
        requests.append(request)
        await says(response("200 OK", b'{"endpoint": "https://e.example"}'))(request, writer)

    assert await create_at(session, record) == {"success": True, "endpoint": "https://e.example"}
    await delete_at(session, record)

    create, delete = (request.lower() for request in requests)
    assert create.startswith(b"post /v2/endpoints/" + str(ID).encode())
    assert delete.startswith(b"delete /v2/endpoints/" + str(ID).encode())
    for request in (create, delete):
        assert b"x-backendai-token: " + TOKEN.encode() in request
        assert b"accept: application/json" in request
    assert b"content-type: application/json" in create
    assert delete.endswith(b"\r\n\r\n"), "a delete has no body"


async def test_an_error_body_that_cannot_be_read_is_not_repeated(session: ClientSession) -> None:
    raised = await error_of(create_at(session, says(response("502 Bad Gateway", b"<html>nginx</html>"))))

    assert isinstance(raised, ProxyFailed)
    assert str(raised).endswith("answered 502 (18 bytes)")


@pytest.mark.parametrize("value", [b"null", b"17", b'{"a": 1}', b'["x"]'])
async def test_an_error_body_with_odd_fields_is_read_as_far_as_it_goes(session: ClientSession, value: bytes) -> None:
    body = b'{"title": "No.", "msg": ' + value + b', "error_code": ' + value + b"}"

    raised = await error_of(create_at(session, says(response("400 Bad Request", body))))

    assert str(raised).endswith("answered 400 No.")


async def test_the_proxys_words_are_cut_and_kept_on_one_line(session: ClientSession) -> None:
    body = b'{"title": "one\\ntwo\\u001b[31m' + b"x" * 5000 + b'"}'

    raised = await error_of(create_at(session, says(response("400 Bad Request", body))))

    assert "\n" not in str(raised)
    assert "\x1b" not in str(raised)
    assert len(str(raised).partition("answered 400 ")[2]) == 200


@pytest.mark.parametrize("call", [create_at, delete_at])
async def test_a_proxy_that_trickles_its_answer_meets_the_deadline(
    session: ClientSession, call: Callable[..., Awaitable[object]]
) -> None:
    raised = await error_of(call(session, trickles, timeout_seconds=0.1))

    assert isinstance(raised, ProxyTimedOut)


async def test_httpx_errors_pass_through_a_plain_session(session: ClientSession) -> None:
    raised = await error_of(create_at(session, resets))

    assert isinstance(raised, httpx.ReadError)
    assert failure_kind(raised) is FailureKind.UNKNOWN
