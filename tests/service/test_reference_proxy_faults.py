"""The reference proxy misbehaves as ordered, and as a process finds its endpoints again after a kill."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from service.demo.reference_proxy import ReferenceProxy
from service.demo.reference_proxy_faults import Faults, ProxyOperation
from tests.app_proxy_support import create_body

TOKEN = "token-of-the-proxy"
ID = UUID("7b0c6a52-0000-4000-8000-000000000001")


@pytest.fixture
async def proxy() -> AsyncIterator[ReferenceProxy]:
    async with ReferenceProxy(TOKEN) as proxy:
        yield proxy


@pytest.fixture
async def http(proxy: ReferenceProxy) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"X-BackendAI-Token": TOKEN, "Accept": "application/json"}
    async with httpx.AsyncClient(base_url=proxy.address, headers=headers, trust_env=False) as http:
        yield http


async def create(
    http: httpx.AsyncClient,
    endpoint_id: UUID = ID,
    *,
    name: str = "svc-one",
    health_check: dict[str, Any] | None = None,
    existing_url: str | None = None,
) -> httpx.Response:
    body = create_body(endpoint_id, name=name, health_check=health_check, existing_url=existing_url)
    return await http.post(f"/v2/endpoints/{endpoint_id}", json=body)


async def delete(http: httpx.AsyncClient, endpoint_id: UUID = ID) -> httpx.Response:
    return await http.delete(f"/v2/endpoints/{endpoint_id}")


def is_problem(answer: httpx.Response, status: int, error_code: str) -> bool:
    return (answer.status_code, answer.json()["error_code"]) == (status, error_code)


# --- the faults ----------------------------------------------------------------------------------------------------


async def test_ordered_statuses_are_answered_one_each_and_do_nothing(
    http: httpx.AsyncClient, proxy: ReferenceProxy
) -> None:
    proxy.faults.set(Faults(next_statuses=(500, 429, 302)))

    assert [(await create(http)).status_code for _ in range(3)] == [500, 429, 302]
    assert len(proxy.circuits) == 0
    assert (await create(http)).status_code == 200


@pytest.mark.parametrize(("fault", "endpoints"), [("resets_before_effect", 0), ("resets_after_effect", 1)])
async def test_an_ordered_reset_breaks_the_connection_before_or_after_the_effect(
    http: httpx.AsyncClient, proxy: ReferenceProxy, fault: str, endpoints: int
) -> None:
    proxy.faults.set(Faults.model_validate({fault: 1}))

    with pytest.raises(httpx.ReadError):
        await create(http)

    assert len(proxy.circuits) == endpoints
    assert (await create(http)).status_code == 200


async def test_an_error_after_the_effect_is_500_with_the_endpoint_made(
    http: httpx.AsyncClient, proxy: ReferenceProxy
) -> None:
    proxy.faults.set(Faults(errors_after_effect=1))

    assert (await create(http)).status_code == 500
    assert len(proxy.circuits) == 1


async def test_a_garbage_answer_is_200_with_the_ordered_body(http: httpx.AsyncClient, proxy: ReferenceProxy) -> None:
    proxy.faults.set(Faults(garbage_answers=1, garbage_body="{]"))

    answer = await create(http)

    assert (answer.status_code, answer.text) == (200, "{]")
    assert len(proxy.circuits) == 1


async def test_more_concurrent_calls_than_ordered_are_answered_500(
    http: httpx.AsyncClient, proxy: ReferenceProxy
) -> None:
    proxy.faults.set(Faults(collapse_above=2, delay_seconds=60))
    calm = [asyncio.create_task(create(http, uuid4())) for _ in range(2)]
    await proxy.calls.until(lambda calls: calls.under_way == 2)

    assert (await create(http)).status_code == 500

    proxy.faults.set(Faults())
    assert [answer.status_code for answer in await asyncio.gather(*calm)] == [200, 200]
    assert proxy.calls.most_under_way == 3


async def test_faults_strike_only_the_named_operations(http: httpx.AsyncClient, proxy: ReferenceProxy) -> None:
    proxy.faults.set(Faults(operations=frozenset({ProxyOperation.DELETE}), next_statuses=(500,)))

    assert (await create(http)).status_code == 200
    assert [(await delete(http)).status_code for _ in range(2)] == [500, 200]


async def test_faults_are_set_shown_and_cleared_over_http(http: httpx.AsyncClient) -> None:
    await http.put("/reference/faults", json={"next_statuses": [500, 500], "worker": "lost"})
    assert (await create(http)).status_code == 500
    assert (await http.get("/reference/faults")).json()["next_statuses"] == [500]

    await http.delete("/reference/faults")

    assert (await create(http)).status_code == 200
    assert (await http.get("/reference/calls")).json() == {
        "creates": 2, "deletes": 0, "under_way": 0, "most_under_way": 1
    }  # fmt: skip


async def test_an_unknown_fault_is_refused_by_name(http: httpx.AsyncClient) -> None:
    answer = await http.put("/reference/faults", json={"explode": True})

    assert answer.status_code == 400
    assert answer.json()[0]["loc"] == ["explode"]


async def test_circuits_are_forgotten_on_request(http: httpx.AsyncClient) -> None:
    await create(http)

    assert (await http.delete("/reference/circuits")).json() == []
    assert (await delete(http)).status_code == 404


# --- the process ---------------------------------------------------------------------------------------------------


def start_process(*arguments: str) -> tuple[subprocess.Popen[str], str]:
    """Start the reference proxy as a process, and give it with the address that it prints."""
    command = [sys.executable, "-m", "service.demo.reference_proxy", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ)
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


async def test_a_killed_process_finds_its_endpoints_again(tmp_path: Path) -> None:
    token_file, state = tmp_path / "token", tmp_path / "circuits.json"
    token_file.write_text(f"{TOKEN}\n")
    arguments = ("--token-file", str(token_file), "--state", str(state))
    headers = {"X-BackendAI-Token": TOKEN}
    first, address = start_process(*arguments)
    with first:
        async with httpx.AsyncClient(base_url=address, headers=headers, trust_env=False) as http:
            created = await create(http)
        first.send_signal(signal.SIGKILL)

    second, address = start_process(*arguments, "--port", address.rpartition(":")[2])
    with second:
        async with httpx.AsyncClient(base_url=address, headers=headers, trust_env=False) as http:
            again = await create(http)
        second.send_signal(signal.SIGTERM)

    assert again.json() == created.json()
    assert [circuit["endpoint_id"] for circuit in json.loads(state.read_text())] == [str(ID)]
    assert second.returncode == 0
