"""The client at proxies of later releases, which take a create only as a list of endpoints."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from domain.failures import FailureKind
from handlers.app_proxy import AppProxyClient
from handlers.app_proxy_errors import (
    AnswerNotUnderstood,
    ProxyBusy,
    ProxyFailed,
    ProxyTimedOut,
    RequestRejected,
    failure_kind,
)
from handlers.client_session import ClientSession
from service.demo.reference_proxy import ReferenceProxy
from service.demo.reference_proxy_app import ProxyRelease
from service.demo.reference_proxy_faults import Faults, WorkerState
from tests.app_proxy_support import HEALTH_CHECK, Answer, create_body, error_of, response, says, server_answering

TOKEN = "s3cret-token-of-the-proxy"
ID = UUID("7b0c6a52-0000-4000-8000-000000000001")
BODY = create_body(ID)
URL = "http://127.0.0.1:10240/"
BROKEN = response("500 Internal Server Error", b'{"error_code": "agent_generic_internal-error"}')


@pytest.fixture
async def session() -> AsyncIterator[ClientSession]:
    async with httpx.AsyncClient(trust_env=False) as http:
        yield http


@pytest.fixture
async def proxy() -> AsyncIterator[ReferenceProxy]:
    async with ReferenceProxy(TOKEN, release=ProxyRelease.LISTS) as proxy:
        yield proxy


@pytest.fixture
def client(session: ClientSession, proxy: ReferenceProxy) -> AppProxyClient:
    return AppProxyClient(session, proxy.address, TOKEN)


def by_path(*, single: bytes, listed: bytes) -> Answer:
    """Answer a list with ``listed``, and everything else with ``single``."""

    async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
        await says(listed if request.startswith(b"POST /v2/endpoints/bulk ") else single)(request, writer)

    return answer


def listed(*entries: dict[str, Any]) -> bytes:
    return response("200 OK", json.dumps({"endpoints": entries}).encode())


async def create_at(session: ClientSession, answer: Answer) -> dict[str, Any]:
    async with server_answering(answer) as address:
        return await AppProxyClient(session, address, TOKEN).create_endpoint(ID, BODY)


async def test_create_answers_as_it_does_for_one_endpoint(client: AppProxyClient, proxy: ReferenceProxy) -> None:
    answer = await client.create_endpoint(ID, create_body(ID, health_check=HEALTH_CHECK))

    assert answer == {"success": True, "endpoint": URL, "health_check_enabled": True}
    assert [circuit.endpoint_id for circuit in proxy.circuits.all()] == [ID]


async def test_a_repeated_create_adopts_the_same_endpoint(client: AppProxyClient, proxy: ReferenceProxy) -> None:
    first = await client.create_endpoint(ID, BODY)

    assert await client.create_endpoint(ID, BODY) == first
    assert len(proxy.circuits) == 1


async def test_delete_removes_the_endpoint_and_may_be_repeated(client: AppProxyClient, proxy: ReferenceProxy) -> None:
    await client.create_endpoint(ID, BODY)

    await client.delete_endpoint(ID)
    await client.delete_endpoint(ID)

    assert len(proxy.circuits) == 0


async def test_a_port_that_another_has_is_refused_for_good(client: AppProxyClient) -> None:
    """So that the next create does not ask for it again."""
    url = (await client.create_endpoint(ID, BODY))["endpoint"]
    other = uuid4()

    raised = await error_of(client.create_endpoint(other, create_body(other, existing_url=url)))

    assert isinstance(raised, RequestRejected)
    assert raised.status_code == 409


async def test_the_endpoint_that_a_silent_worker_left_is_adopted(client: AppProxyClient, proxy: ReferenceProxy) -> None:
    proxy.faults.set(Faults(worker=WorkerState.SILENT, worker_answer_seconds=0))

    raised = await error_of(client.create_endpoint(ID, BODY))

    assert isinstance(raised, ProxyBusy)
    assert len(proxy.circuits) == 1
    assert (await client.create_endpoint(ID, BODY))["endpoint"] == URL


async def test_a_list_that_times_out_is_unknown(client: AppProxyClient, proxy: ReferenceProxy) -> None:
    proxy.faults.set(Faults(delay_seconds=60))

    raised = await error_of(client.create_endpoint(ID, BODY, timeout_seconds=0.3))

    assert isinstance(raised, ProxyTimedOut)
    assert proxy.calls.creates == 1, "the list, as the create of one endpoint broke at once"


async def test_a_list_that_breaks_too_is_unknown(client: AppProxyClient, proxy: ReferenceProxy) -> None:
    proxy.faults.set(Faults(errors_after_effect=1))

    raised = await error_of(client.create_endpoint(ID, BODY))

    assert failure_kind(raised) is FailureKind.UNKNOWN
    assert len(proxy.circuits) == 1


async def test_where_no_lists_are_known_the_first_failure_stands(session: ClientSession) -> None:
    """It may have taken effect; that a list is refused says nothing about that."""
    async with ReferenceProxy(TOKEN) as proxy:
        proxy.faults.set(Faults(errors_after_effect=1))

        raised = await error_of(AppProxyClient(session, proxy.address, TOKEN).create_endpoint(ID, BODY))

        assert isinstance(raised, ProxyFailed)
        assert raised.status_code == 500
        assert len(proxy.circuits) == 1


async def test_another_500_is_not_tried_again(session: ClientSession) -> None:
    """Only the words of the proxy itself say that it is the proxy that breaks."""
    single = response("500 Internal Server Error", b"<html>gateway</html>")
    answer = by_path(single=single, listed=listed({"deployment_id": str(ID), "url": URL}))

    assert isinstance(await error_of(create_at(session, answer)), ProxyFailed)


@pytest.mark.parametrize(
    "entries",
    [
        (),
        ({"deployment_id": str(uuid4()), "url": URL},),
        ({"deployment_id": str(ID), "url": "ftp://127.0.0.1/"},),
        ({"deployment_id": str(ID)},),
        ({"deployment_id": str(ID), "url": URL}, {"deployment_id": str(uuid4()), "url": URL}),
        ({"deployment_id": str(ID), "url": f"http://proxy/?token={TOKEN}"},),
    ],
)
async def test_a_list_in_answer_that_is_not_about_the_endpoint_alone_is_not_understood(
    session: ClientSession, entries: tuple[dict[str, Any], ...]
) -> None:
    raised = await error_of(create_at(session, by_path(single=BROKEN, listed=listed(*entries))))

    assert isinstance(raised, AnswerNotUnderstood)
    assert TOKEN not in str(raised)
