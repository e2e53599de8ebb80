"""The reference proxy as a later release: lists of endpoints, and what else differs from the earlier one."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from service.demo.reference_proxy import ReferenceProxy
from service.demo.reference_proxy_app import ProxyRelease
from service.demo.reference_proxy_faults import Faults, WorkerState
from tests.app_proxy_support import HEALTH_CHECK, create_body

TOKEN = "token-of-the-proxy"
ID = UUID("7b0c6a52-0000-4000-8000-000000000001")


@pytest.fixture
async def proxy() -> AsyncIterator[ReferenceProxy]:
    async with ReferenceProxy(TOKEN, release=ProxyRelease.LISTS) as proxy:
        yield proxy


@pytest.fixture
async def http(proxy: ReferenceProxy) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"X-BackendAI-Token": TOKEN, "Accept": "application/json"}
    async with httpx.AsyncClient(base_url=proxy.address, headers=headers, trust_env=False) as http:
        yield http


def entry(endpoint_id: UUID, health_check: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"deployment_id": str(endpoint_id), **create_body(endpoint_id, health_check=health_check)}


async def create(http: httpx.AsyncClient, *entries: dict[str, Any]) -> httpx.Response:
    return await http.post("/v2/endpoints/bulk", json={"endpoints": entries})


async def test_a_list_is_answered_entry_by_entry(http: httpx.AsyncClient) -> None:
    other = uuid4()

    answer = await create(http, entry(ID, HEALTH_CHECK), entry(other))

    assert answer.json() == {
        "endpoints": [
            {"deployment_id": str(ID), "url": "http://127.0.0.1:10240/", "health_check_enabled": True},
            {"deployment_id": str(other), "url": "http://127.0.0.1:10241/", "health_check_enabled": False},
        ]
    }


async def test_a_create_of_one_endpoint_breaks_and_does_nothing(http: httpx.AsyncClient, proxy: ReferenceProxy) -> None:
    answer = await http.post(f"/v2/endpoints/{ID}", json=create_body(ID))

    assert (answer.status_code, answer.json()["error_code"]) == (500, "agent_generic_internal-error")
    assert len(proxy.circuits) == 0


@pytest.mark.parametrize("path", [str(ID), "bulk"])
async def test_who_has_no_token_or_no_body_is_told_so(http: httpx.AsyncClient, path: str) -> None:
    strange = await http.post(f"/v2/endpoints/{path}", json={}, headers={"X-BackendAI-Token": "other"})
    empty = await http.post(f"/v2/endpoints/{path}", json={})

    assert strange.status_code == 401
    assert (empty.status_code, empty.json()["msg"]) == (400, "Input validation error")


async def test_a_silent_worker_leaves_the_endpoint_behind(http: httpx.AsyncClient, proxy: ReferenceProxy) -> None:
    proxy.faults.set(Faults(worker=WorkerState.SILENT, worker_answer_seconds=0))

    first = await create(http, entry(ID))
    again = await create(http, entry(ID))

    assert (first.status_code, again.status_code) == (503, 200)
    assert len(proxy.circuits) == 1


async def test_a_delete_of_what_is_not_there_succeeds_too(http: httpx.AsyncClient) -> None:
    assert (await http.delete(f"/v2/endpoints/{uuid4()}")).json() == {"success": True}


async def test_the_earlier_release_reads_a_list_as_a_bad_request() -> None:
    async with ReferenceProxy(TOKEN) as proxy:
        headers = {"X-BackendAI-Token": TOKEN}
        async with httpx.AsyncClient(base_url=proxy.address, headers=headers, trust_env=False) as http:
            answer = await create(http, entry(ID))

    assert answer.status_code == 400
    assert len(proxy.circuits) == 0
