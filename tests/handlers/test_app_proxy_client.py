"""The client against the reference proxy and against servers that say anything, over plain httpx."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import httpx
import pytest
from pydantic import SecretStr

from domain.failures import FailureKind
from handlers.app_proxy import AppProxyClient
from handlers.app_proxy_errors import (
    AnswerNotUnderstood,
    AppProxyError,
    ProxyAnsweredError,
    ProxyBusy,
    ProxyFailed,
    ProxyRedirected,
    ProxyTargetInvalid,
    ProxyTimedOut,
    RequestRejected,
    failure_kind,
)
from handlers.client_session import ClientSession
from service.demo.reference_proxy import ReferenceProxy
from service.demo.reference_proxy_faults import Faults, WorkerState
from tests.app_proxy_support import (
    HEALTH_CHECK,
    create_body,
    error_of,
)

TOKEN = "s3cret-token-of-the-proxy"
ID = UUID("7b0c6a52-0000-4000-8000-000000000001")
BODY = create_body(ID)


@pytest.fixture
async def session() -> AsyncIterator[ClientSession]:
    """A plain httpx client; that it is a ClientSession is checked by the type checker here."""
    async with httpx.AsyncClient(trust_env=False) as http:
        session: ClientSession = http
        yield session


@pytest.fixture
async def proxy() -> AsyncIterator[ReferenceProxy]:
    async with ReferenceProxy(TOKEN) as proxy:
        yield proxy


@pytest.fixture
def client(session: ClientSession, proxy: ReferenceProxy) -> AppProxyClient:
    return AppProxyClient(session, proxy.address, SecretStr(TOKEN))


async def test_create_gives_the_url_that_the_proxy_answers_with(client: AppProxyClient) -> None:
    answer = await client.create_endpoint(ID, create_body(ID, health_check=HEALTH_CHECK))

    assert answer == {"success": True, "endpoint": "http://127.0.0.1:10240/", "health_check_enabled": True}


async def test_a_repeated_create_adopts_the_same_endpoint(client: AppProxyClient, proxy: ReferenceProxy) -> None:
    """Fault 18."""
    first = await client.create_endpoint(ID, BODY)
    again = await client.create_endpoint(ID, BODY)

    assert again == first
    assert len(proxy.circuits) == 1


async def test_delete_removes_the_endpoint(client: AppProxyClient, proxy: ReferenceProxy) -> None:
    await client.create_endpoint(ID, BODY)

    await client.delete_endpoint(ID)

    assert len(proxy.circuits) == 0


async def test_delete_of_what_is_not_there_succeeds(client: AppProxyClient, proxy: ReferenceProxy) -> None:
    await client.delete_endpoint(ID)

    assert proxy.calls.deletes == 1


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (301, ProxyRedirected), (307, ProxyRedirected),
        (400, RequestRejected), (401, RequestRejected), (404, RequestRejected), (409, RequestRejected),
        (408, ProxyBusy), (425, ProxyBusy), (429, ProxyBusy), (503, ProxyBusy),
        (500, ProxyFailed), (502, ProxyFailed), (504, ProxyFailed), (507, ProxyFailed),
    ],
)  # fmt: skip
async def test_a_create_answered_with_another_status_fails_by_kind(
    client: AppProxyClient, proxy: ReferenceProxy, status: int, error: type[ProxyAnsweredError]
) -> None:
    proxy.faults.set(Faults(next_statuses=(status,)))

    raised = await error_of(client.create_endpoint(ID, BODY))

    assert type(raised) is error
    assert isinstance(raised, ProxyAnsweredError)
    assert raised.status_code == status
    assert f"create endpoint {ID} at {proxy.address}: answered {status}" in str(raised)
    assert proxy.calls.creates == 1, "the client repeats nothing by itself, and follows no redirect"


@pytest.mark.parametrize("status", [302, 400, 401, 403, 408, 409, 429, 500, 502, 503])
async def test_a_delete_answered_with_another_status_is_not_a_success(
    client: AppProxyClient, proxy: ReferenceProxy, status: int
) -> None:
    proxy.faults.set(Faults(next_statuses=(status,)))

    raised = await error_of(client.delete_endpoint(ID))

    assert isinstance(raised, ProxyAnsweredError)
    assert f"delete endpoint {ID} at {proxy.address}: answered {status}" in str(raised)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ProxyBusy, FailureKind.TRANSIENT),
        (ProxyFailed, FailureKind.UNKNOWN),
        (RequestRejected, FailureKind.PERMANENT),
        (ProxyRedirected, FailureKind.PERMANENT),
        (AnswerNotUnderstood, FailureKind.UNKNOWN),
        (ProxyTimedOut, FailureKind.UNKNOWN),
        (ProxyTargetInvalid, FailureKind.PERMANENT),
        (AppProxyError, FailureKind.UNKNOWN),
    ],
)
def test_each_class_says_what_is_known_of_the_effect(error: type[AppProxyError], kind: FailureKind) -> None:
    assert error.kind is kind


def test_an_exception_that_nobody_knows_counts_as_unknown() -> None:
    assert failure_kind(RuntimeError("?")) is FailureKind.UNKNOWN


async def test_the_proxys_own_words_are_in_the_message(session: ClientSession, proxy: ReferenceProxy) -> None:
    client = AppProxyClient(session, proxy.address, "another-token")

    raised = await error_of(client.create_endpoint(ID, BODY))

    assert isinstance(raised, RequestRejected)
    assert raised.error_code == "agent_auth_unauthorized"
    assert "agent_auth_unauthorized Credential/signature mismatch. Unauthorized access" in str(raised)


async def test_a_lost_worker_is_transient_and_leaves_no_endpoint(client: AppProxyClient, proxy: ReferenceProxy) -> None:
    proxy.faults.set(Faults(worker=WorkerState.LOST))

    raised = await error_of(client.create_endpoint(ID, BODY))

    assert failure_kind(raised) is FailureKind.TRANSIENT
    assert len(proxy.circuits) == 0


async def test_a_create_that_times_out_is_unknown_because_it_may_still_land(
    client: AppProxyClient, proxy: ReferenceProxy
) -> None:
    proxy.faults.set(Faults(worker=WorkerState.SILENT))

    raised = await error_of(client.create_endpoint(ID, BODY, timeout_seconds=0.05))
    proxy.faults.set(Faults())
    await proxy.calls.until(lambda calls: calls.under_way == 0)

    assert isinstance(raised, ProxyTimedOut)
    assert f"create endpoint {ID} at {proxy.address}: no answer within 0.05 s" in str(raised)
    assert len(proxy.circuits) == 1


async def test_a_cancelled_call_is_cancelled_and_not_timed_out(client: AppProxyClient, proxy: ReferenceProxy) -> None:
    proxy.faults.set(Faults(delay_seconds=60))
    call = asyncio.create_task(client.create_endpoint(ID, BODY))
    await proxy.calls.until(lambda calls: calls.under_way == 1)

    call.cancel()

    with pytest.raises(asyncio.CancelledError):
        await call
