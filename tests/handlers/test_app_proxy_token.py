"""The proxy's token is checked early and shown nowhere."""

import logging
import traceback
from collections.abc import AsyncIterator
from uuid import UUID

import httpx
import pytest

from handlers.app_proxy import AppProxyClient
from handlers.app_proxy_errors import (
    AnswerNotUnderstood,
    AppProxyError,
    ProxyTargetInvalid,
)
from handlers.client_session import ClientSession
from tests.app_proxy_support import (
    Answer,
    create_body,
    error_of,
    never_answers,
    response,
    says,
    server_answering,
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


@pytest.mark.parametrize("token", ["", " padded", "padded ", "two\nlines", "umläut"])
def test_a_token_that_no_header_can_carry_is_refused_without_being_shown(session: ClientSession, token: str) -> None:
    with pytest.raises(ProxyTargetInvalid, match="proxy token is") as caught:
        AppProxyClient(session, "proxy:8080", token)

    assert not token or token not in str(caught.value)


def test_a_timeout_of_nothing_is_refused(session: ClientSession) -> None:
    with pytest.raises(ValueError, match="timeout_seconds is 0"):
        AppProxyClient(session, "proxy:8080", TOKEN, timeout_seconds=0)


def test_the_token_is_not_in_the_clients_repr(session: ClientSession) -> None:
    client = AppProxyClient(session, "proxy:8080", TOKEN)

    assert TOKEN not in repr(client)
    assert TOKEN not in repr(vars(client))


@pytest.mark.parametrize(
    "answer",
    [
        says(response("400 Bad Request", f'{{"title": "{TOKEN}"}}'.encode())),
        says(response("401 Unauthorized", f'{{"error_code": "{TOKEN}", "msg": "got {TOKEN}"}}'.encode())),
        says(response("400 Bad Request", f'{{"title": "{"x" * 190}{TOKEN}"}}'.encode())),
        says(response("500 Internal Server Error", TOKEN.encode())),
        says(response("302 Found", b"", f"Location: http://elsewhere/?{TOKEN}")),
        says(response("200 OK", f'{{"endpoint": "{TOKEN}"}}'.encode())),
        says(response("200 OK", TOKEN.encode())),
        never_answers,
    ],
)
async def test_the_token_is_in_no_error_traceback_or_log(
    session: ClientSession, answer: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    raised = await error_of(create_at(session, answer, timeout_seconds=0.2))

    texts = [str(raised), repr(raised), repr(vars(raised)), caplog.text]
    texts += traceback.TracebackException.from_exception(raised, capture_locals=True).format()
    # httpx itself logs the headers of answers, which a proxy fills as it likes.
    shown = "".join(texts).replace(f"http://elsewhere/?{TOKEN}", "")
    assert isinstance(raised, AppProxyError)
    assert TOKEN[:10] not in shown, "not even the beginning"


async def test_a_url_that_repeats_the_token_is_not_taken_for_an_endpoint(session: ClientSession) -> None:
    """It would be stored, shown and published."""
    body = f'{{"success": true, "endpoint": "http://proxy/?token={TOKEN}"}}'.encode()

    error = await error_of(create_at(session, says(response("200 OK", body))))

    assert isinstance(error, AnswerNotUnderstood)
    assert TOKEN not in str(error)
