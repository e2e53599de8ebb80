"""The httpx pool against the reference proxy and against servers that say anything."""

import asyncio
import logging
import ssl
import traceback
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from uuid import UUID

import pytest

from adapters.app_proxy import AppProxyClientPool, AppProxyClientPoolLimits
from domain.failures import FailureKind
from handlers.app_proxy import AppProxyClient
from handlers.app_proxy_errors import (
    AnswerNotUnderstood,
    AppProxyError,
    ConnectionBroken,
    ProxyBusy,
    ProxyTargetInvalid,
    ProxyTimedOut,
    ProxyUnreachable,
    RequestRejected,
)
from handlers.circuit_breaker import BreakerState
from handlers.client_session import ClientPool
from handlers.proxy_calls import ProxyCallLimits, ProxyCalls
from service.demo.reference_proxy import ReferenceProxy
from service.demo.reference_proxy_faults import Faults
from tests.app_proxy_support import Answer, create_body, never_answers, resets, response, says, server_answering

TOKEN = "s3cret-token-of-the-proxy"
ID = UUID("7b0c6a52-0000-4000-8000-000000000001")
LIMITS = AppProxyClientPoolLimits(max_body_bytes=1000)


@pytest.fixture
async def pool() -> AsyncIterator[AppProxyClientPool]:
    pool = AppProxyClientPool(LIMITS)
    yield pool
    await pool.close()


@pytest.fixture
async def proxy() -> AsyncIterator[ReferenceProxy]:
    async with ReferenceProxy(TOKEN) as proxy:
        yield proxy


def client_of(pool: ClientPool, address: str, *, timeout_seconds: float = 10) -> AppProxyClient:
    return AppProxyClient(pool.load_client_session(), address, TOKEN, timeout_seconds=timeout_seconds)


async def error_of(call: Awaitable[object]) -> AppProxyError:
    """Give the error that the call raises."""
    with pytest.raises(AppProxyError) as caught:
        await call
    return caught.value


async def create_at(pool: ClientPool, answer: Answer, *, timeout_seconds: float = 10) -> object:
    async with server_answering(answer) as address:
        return await client_of(pool, address, timeout_seconds=timeout_seconds).create_endpoint(ID, create_body(ID))


async def test_endpoints_are_created_and_deleted_through_a_session(
    pool: AppProxyClientPool, proxy: ReferenceProxy
) -> None:
    client = client_of(pool, proxy.address)

    answer = await client.create_endpoint(ID, create_body(ID))
    await client.delete_endpoint(ID)
    await client.delete_endpoint(ID)

    assert answer["endpoint"] == "http://127.0.0.1:10240/"
    assert len(proxy.circuits) == 0


async def test_an_unusable_address_is_refused_before_anything_is_sent(pool: AppProxyClientPool) -> None:
    with pytest.raises(ProxyTargetInvalid, match="ftp"):
        client_of(pool, "ftp://proxy")


async def test_a_closed_pool_gives_no_sessions_and_may_be_closed_again(pool: AppProxyClientPool) -> None:
    pool.load_client_session()

    await pool.close()
    await pool.close()

    with pytest.raises(RuntimeError, match="closed"):
        pool.load_client_session()


async def test_a_refused_connection_is_transient_because_nothing_was_sent(
    pool: AppProxyClientPool, proxy: ReferenceProxy
) -> None:
    await proxy.stop()

    raised = await error_of(client_of(pool, proxy.address).create_endpoint(ID, create_body(ID)))

    assert isinstance(raised, ProxyUnreachable)
    assert raised.kind is FailureKind.TRANSIENT
    assert f"POST {proxy.address}/v2/endpoints/{ID}: ConnectError" in str(raised)


async def test_a_name_that_does_not_resolve_is_unreachable(pool: AppProxyClientPool) -> None:
    raised = await error_of(client_of(pool, "no-such-host.invalid:1").delete_endpoint(ID))

    assert isinstance(raised, ProxyUnreachable)


async def test_a_proxy_that_does_not_speak_tls_is_unreachable_over_https(
    pool: AppProxyClientPool, proxy: ReferenceProxy
) -> None:
    address = proxy.address.replace("http://", "https://")

    assert isinstance(await error_of(client_of(pool, address).delete_endpoint(ID)), ProxyUnreachable)


async def test_a_call_for_which_no_connection_is_free_is_transient_and_not_unknown() -> None:
    pool, arrived = AppProxyClientPool(AppProxyClientPoolLimits(max_connections=1)), asyncio.Event()

    async def arrives(request: bytes, writer: asyncio.StreamWriter) -> None:
        arrived.set()
        await never_answers(request, writer)

    async with server_answering(arrives) as address:
        first = asyncio.create_task(client_of(pool, address).delete_endpoint(ID))
        await arrived.wait()

        raised = await error_of(client_of(pool, address, timeout_seconds=0.1).delete_endpoint(ID))

        first.cancel()
        await asyncio.wait([first])
    await pool.close()
    assert isinstance(raised, ProxyUnreachable)
    assert "no connection in time" in str(raised)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (resets, ConnectionBroken),
        (says(b""), ConnectionBroken),
        (says(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort"), ConnectionBroken),
        (says(b"SSH-2.0-OpenSSH_9.6\r\n"), ConnectionBroken),
        (never_answers, ProxyTimedOut),
    ],
)
async def test_a_call_that_breaks_off_after_it_was_sent_is_unknown(
    pool: AppProxyClientPool, answer: Answer, error: type[AppProxyError]
) -> None:
    raised = await error_of(create_at(pool, answer, timeout_seconds=0.2))

    assert type(raised) is error
    assert raised.kind is FailureKind.UNKNOWN
    assert str(ID) in str(raised)


@pytest.mark.parametrize("fault", ["resets_before_effect", "resets_after_effect"])
async def test_a_reset_is_unknown_whether_or_not_the_endpoint_was_made(
    pool: AppProxyClientPool, proxy: ReferenceProxy, fault: str
) -> None:
    proxy.faults.set(Faults.model_validate({fault: 1}))
    client = client_of(pool, proxy.address)

    raised = await error_of(client.create_endpoint(ID, create_body(ID)))

    assert isinstance(raised, ConnectionBroken)
    assert (await client.create_endpoint(ID, create_body(ID)))["endpoint"] == "http://127.0.0.1:10240/"


async def test_a_success_with_too_long_a_body_is_unknown_and_not_read_to_its_end(pool: AppProxyClientPool) -> None:
    async def endless(_request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"x" * 10_000)
            await writer.drain()

    raised = await error_of(create_at(pool, endless))

    assert isinstance(raised, AnswerNotUnderstood)
    assert "answered 200 with over 1000 bytes" in str(raised)


@pytest.mark.parametrize(("status", "error"), [("400 No", RequestRejected), ("503 Not now", ProxyBusy)])
async def test_an_error_with_too_long_a_body_is_still_known_by_its_status(
    pool: AppProxyClientPool, status: str, error: type[AppProxyError]
) -> None:
    raised = await error_of(create_at(pool, says(response(status, b"x" * 10_000))))

    assert type(raised) is error


async def test_a_compressed_answer_is_not_unpacked(pool: AppProxyClientPool) -> None:
    packed = response("200 OK", b"\x1f\x8b\x08\x00", "Content-Encoding: gzip")

    assert isinstance(await error_of(create_at(pool, says(packed))), AnswerNotUnderstood)


async def test_a_redirect_is_not_followed(pool: AppProxyClientPool, proxy: ReferenceProxy) -> None:
    redirect = says(response("307 Elsewhere", b"", f"Location: {proxy.address}/v2/endpoints/{ID}"))

    raised = await error_of(create_at(pool, redirect))

    assert raised.kind is FailureKind.PERMANENT
    assert proxy.calls.creates == 0


async def test_a_proxy_named_in_the_environment_is_not_used(
    pool: AppProxyClientPool, proxy: ReferenceProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    await client_of(pool, proxy.address).delete_endpoint(ID)

    assert proxy.calls.deletes == 1


def test_a_certificate_file_that_cannot_be_used_is_refused_at_once(tmp_path: Path) -> None:
    empty = tmp_path / "ca.pem"
    empty.touch()

    with pytest.raises(FileNotFoundError):
        AppProxyClientPool(ca_file=tmp_path / "missing.pem")
    with pytest.raises(ssl.SSLError):
        AppProxyClientPool(ca_file=empty)


@pytest.mark.parametrize(
    "answer", [resets, never_answers, says(b"garbage"), says(response("400 No", TOKEN.encode())), says(b"")]
)
async def test_the_token_is_in_no_error_traceback_or_log(
    pool: AppProxyClientPool, answer: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    raised = await error_of(create_at(pool, answer, timeout_seconds=0.2))

    texts = [str(raised), repr(raised), caplog.text]
    texts += traceback.TracebackException.from_exception(raised, capture_locals=True).format()
    assert not any(TOKEN in text for text in texts)


# --- under the policy for calls ------------------------------------------------------------------------------------


async def test_a_proxy_that_collapses_under_concurrency_is_spared_by_the_limit(
    pool: AppProxyClientPool, proxy: ReferenceProxy
) -> None:
    proxy.faults.set(Faults(collapse_above=2, delay_seconds=0.005))
    calls, client = ProxyCalls(), client_of(pool, proxy.address)

    async def create(endpoint_id: UUID) -> None:
        body = create_body(endpoint_id)
        await calls.run(proxy.address, lambda: client.create_endpoint(endpoint_id, body), timeout_seconds=10)

    await asyncio.gather(*(create(UUID(int=number)) for number in range(20)))

    assert proxy.calls.most_under_way == 2
    assert len(proxy.circuits) == 20


async def test_a_proxy_that_is_down_is_left_alone_and_found_again(
    pool: AppProxyClientPool, proxy: ReferenceProxy
) -> None:
    now = 100.0
    calls = ProxyCalls(ProxyCallLimits(failure_threshold=2), monotonic=lambda: now)
    client = client_of(pool, proxy.address)

    async def delete() -> None:
        await calls.run(proxy.address, lambda: client.delete_endpoint(ID), timeout_seconds=10)

    await proxy.stop()
    kinds = [(await error_of(delete())).__class__.__name__ for _ in range(3)]
    await proxy.start()
    now += 15
    await delete()

    assert kinds == ["ProxyUnreachable", "ProxyUnreachable", "CircuitOpen"]
    assert [shown.breaker for shown in calls.snapshot()] == [BreakerState.CLOSED]
