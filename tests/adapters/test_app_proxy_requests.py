"""What the session to app proxies sends, what it refuses to send, and what a call leaves behind."""

import asyncio
import json
from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from adapters.app_proxy import AppProxyClientPool, AppProxyClientPoolLimits
from handlers.app_proxy import AppProxyClient
from handlers.app_proxy_errors import ProxyTargetInvalid
from tests.app_proxy_support import create_body, never_answers, response, server_answering

TOKEN = "s3cret-token-of-the-proxy"
ID = UUID("7b0c6a52-0000-4000-8000-000000000001")
CREATED = response("200 OK", b'{"endpoint": "http://127.0.0.1:10240/"}')


@pytest.fixture
async def pool() -> AsyncIterator[AppProxyClientPool]:
    pool = AppProxyClientPool(AppProxyClientPoolLimits(max_connections=1))
    yield pool
    await pool.close()


class Listener:
    """Notes requests and answers them all alike, but the first not at all if it ``keeps_waiting``."""

    def __init__(self, *, keeps_waiting: bool = False) -> None:
        self.requests: list[bytes] = []
        self.heard = asyncio.Event()
        self._keeps_waiting = keeps_waiting

    async def answer(self, request: bytes, writer: asyncio.StreamWriter) -> None:
        self.requests.append(request)
        self.heard.set()
        if self._keeps_waiting and len(self.requests) == 1:
            await never_answers(request, writer)
        writer.write(CREATED)
        await writer.drain()

    def request(self) -> tuple[str, dict[str, str], bytes]:
        """First line, headers by lower-case name, and body of the only request."""
        [request] = self.requests
        head, _, body = request.partition(b"\r\n\r\n")
        line, *headers = head.decode().split("\r\n")
        return line, {name.lower(): value for name, _, value in (each.partition(": ") for each in headers)}, body


async def test_a_create_carries_the_headers_that_a_proxy_reads(pool: AppProxyClientPool) -> None:
    """Where to, what in which form, who asks, and that the answer must not be compressed."""
    listener = Listener()

    async with server_answering(listener.answer) as address:
        client = AppProxyClient(pool.load_client_session(), f"{address}/base%20path", TOKEN)
        await client.create_endpoint(ID, create_body(ID, name="größe"))

    line, headers, body = listener.request()
    assert line == f"POST /base%20path/v2/endpoints/{ID} HTTP/1.1"
    assert json.loads(body) == create_body(ID, name="größe")
    assert headers.pop("user-agent")
    assert headers == {
        "host": address,
        "content-type": "application/json",
        "content-length": str(len(body)),
        "accept": "application/json",
        "accept-encoding": "identity",
        "x-backendai-token": TOKEN,
    }


async def test_what_the_caller_says_in_headers_goes_before_what_the_session_says(pool: AppProxyClientPool) -> None:
    listener, session = Listener(), pool.load_client_session()

    async with server_answering(listener.answer) as address:
        await session.request("DELETE", f"http://{address}/", headers={"traceparent": "00-ab", "accept-encoding": "br"})

    _, headers, body = listener.request()
    assert (headers["traceparent"], headers["accept-encoding"], body) == ("00-ab", "br", b"")
    assert "content-type" not in headers


@pytest.mark.parametrize(
    "url",
    [f"http://mina:{TOKEN}@127.0.0.1:1/", f"http://mina:{TOKEN}@[::1", "http://a:99999/", f"http://{'a' * 64}.b/"],
)
async def test_a_url_that_cannot_be_called_is_refused_without_what_may_be_a_password(
    pool: AppProxyClientPool, url: str
) -> None:
    with pytest.raises(ProxyTargetInvalid) as raised:
        await pool.load_client_session().request("DELETE", url, headers={})

    assert TOKEN not in str(raised.value)


async def test_a_session_of_a_closed_pool_opens_no_connection(pool: AppProxyClientPool) -> None:
    listener, session = Listener(), pool.load_client_session()
    await pool.close()

    async with server_answering(listener.answer) as address:
        with pytest.raises(RuntimeError, match="closed"):
            await session.request("DELETE", f"http://{address}/", headers={"X": TOKEN})

    assert listener.requests == []


async def test_a_cancelled_call_leaves_room_for_the_next(pool: AppProxyClientPool) -> None:
    """With one connection at most, the next call would have to wait for ever."""
    listener = Listener(keeps_waiting=True)

    async with server_answering(listener.answer) as address:
        client = AppProxyClient(pool.load_client_session(), address, TOKEN)
        first = asyncio.create_task(client.delete_endpoint(ID))
        await listener.heard.wait()
        first.cancel()
        await asyncio.wait([first])

        await client.delete_endpoint(ID)

    assert first.cancelled()
