"""The reference proxy answers like the real one, case by case."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from service.demo.reference_proxy import ReferenceProxy
from service.demo.reference_proxy_faults import Faults, WorkerState
from tests.app_proxy_support import HEALTH_CHECK, create_body

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


async def test_create_answers_with_the_url_at_the_lowest_free_port(http: httpx.AsyncClient) -> None:
    first = await create(http, health_check=HEALTH_CHECK)
    second = await create(http, uuid4())

    assert first.status_code == 200
    assert first.json() == {"success": True, "endpoint": "http://127.0.0.1:10240/", "health_check_enabled": True}
    assert second.json()["endpoint"] == "http://127.0.0.1:10241/"


async def test_create_again_keeps_url_and_name_and_follows_the_health_check(http: httpx.AsyncClient) -> None:
    first = await create(http, name="svc-one", health_check=HEALTH_CHECK)
    again = await create(http, name="other-name", health_check=None)

    assert again.json() == {**first.json(), "health_check_enabled": False}
    [circuit] = (await http.get("/reference/circuits")).json()
    assert (circuit["service_name"], circuit["health_check_enabled"]) == ("svc-one", False)


async def test_five_concurrent_creates_of_one_id_make_one_endpoint(
    http: httpx.AsyncClient, proxy: ReferenceProxy
) -> None:
    proxy.faults.set(Faults(worker=WorkerState.SILENT))
    creates = [asyncio.create_task(create(http)) for _ in range(5)]
    await proxy.calls.until(lambda calls: calls.under_way == 5)
    proxy.faults.set(Faults())

    answers = await asyncio.gather(*creates)

    assert [answer.status_code for answer in answers] == [200] * 5
    assert {answer.json()["endpoint"] for answer in answers} == {"http://127.0.0.1:10240/"}
    assert len(proxy.circuits) == 1


@pytest.mark.parametrize("headers", [{}, {"X-BackendAI-Token": "wrong"}, {"X-BackendAI-Token": "Bearer wrong"}])
@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_a_missing_or_wrong_token_is_401(proxy: ReferenceProxy, method: str, headers: dict[str, str]) -> None:
    async with httpx.AsyncClient(base_url=proxy.address, trust_env=False) as http:
        answer = await http.request(method, f"/v2/endpoints/{ID}", headers=headers)

    assert answer.status_code == 401
    assert answer.json() == {
        "type": "https://api.backend.ai/probs/auth-failed",
        "title": "Credential/signature mismatch.",
        "error_code": "agent_auth_unauthorized",
        "msg": "Unauthorized access",
    }


@pytest.mark.parametrize("prefix", ["Bearer ", "BackendAI "])
async def test_the_token_is_also_taken_with_its_scheme(http: httpx.AsyncClient, prefix: str) -> None:
    answer = await http.delete(f"/v2/endpoints/{ID}", headers={"X-BackendAI-Token": prefix + TOKEN})

    assert answer.status_code == 404


@pytest.mark.parametrize("body", [b"not json", b'{"version":', b"\xff\xfe", b"[" * 100_000])
async def test_a_body_that_is_not_json_is_400(http: httpx.AsyncClient, body: bytes) -> None:
    answer = await http.post(f"/v2/endpoints/{ID}", content=body)

    assert is_problem(answer, 400, "agent_request_invalid-parameters")
    assert answer.json()["msg"] == "Malformed body"


@pytest.mark.parametrize("body", [b"{}", b"", b'{"version": 2, "tags": []}', b"[]", b'{"version": NaN}'])
async def test_a_body_of_the_wrong_form_is_400_with_the_errors_as_data(http: httpx.AsyncClient, body: bytes) -> None:
    answer = await http.post(f"/v2/endpoints/{ID}", content=body)

    assert is_problem(answer, 400, "agent_request_invalid-parameters")
    assert answer.json()["msg"] == "Input validation error"
    assert all({"type", "loc", "msg"} <= error.keys() for error in answer.json()["data"])


@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_an_id_that_is_no_uuid_is_500(http: httpx.AsyncClient, method: str) -> None:
    answer = await http.request(method, "/v2/endpoints/not-a-uuid", json=create_body(ID))

    assert is_problem(answer, 500, "agent_generic_internal-error")


async def test_the_id_in_the_path_wins_over_the_one_in_the_body(http: httpx.AsyncClient, proxy: ReferenceProxy) -> None:
    answer = await http.post(f"/v2/endpoints/{ID}", json=create_body(uuid4()))

    assert answer.status_code == 200
    assert [circuit.endpoint_id for circuit in proxy.circuits.all()] == [ID]


async def test_delete_removes_the_endpoint_and_frees_its_port(http: httpx.AsyncClient) -> None:
    await create(http)

    answer = await delete(http)

    assert (answer.status_code, answer.json()) == (200, {"success": True})
    assert (await create(http, uuid4())).json()["endpoint"] == "http://127.0.0.1:10240/"


async def test_delete_of_what_is_not_there_is_404(http: httpx.AsyncClient) -> None:
    answer = await delete(http)

    assert is_problem(answer, 404, "agent_read_not-found")
    assert answer.json()["title"] == "E00002: No such endpoint."


async def test_of_five_concurrent_deletes_one_finds_the_endpoint(
    http: httpx.AsyncClient, proxy: ReferenceProxy
) -> None:
    await create(http)
    proxy.faults.set(Faults(delay_seconds=60))
    deletes = [asyncio.create_task(delete(http)) for _ in range(5)]
    await proxy.calls.until(lambda calls: calls.under_way == 5)
    proxy.faults.set(Faults())

    assert sorted([answer.status_code for answer in await asyncio.gather(*deletes)]) == [200, 404, 404, 404, 404]


async def test_an_existing_url_is_kept_if_its_port_is_free(http: httpx.AsyncClient) -> None:
    answer = await create(http, existing_url="http://127.0.0.1:10250/")

    assert answer.json()["endpoint"] == "http://127.0.0.1:10250/"
    assert [(await create(http, uuid4())).json()["endpoint"][-6:-1] for _ in range(11)][-1] == "10251"


async def test_an_existing_url_whose_port_is_in_use_is_409(http: httpx.AsyncClient) -> None:
    await create(http, uuid4())

    answer = await create(http, existing_url="http://127.0.0.1:10240/")

    assert is_problem(answer, 409, "agent_setup_already-exists")
    assert answer.json()["type"].endswith("port-not-available")


@pytest.mark.parametrize("url", ["http://elsewhere.example:10240/", "http://127.0.0.1:80/", "http://127.0.0.1/"])
async def test_an_existing_url_of_another_proxy_is_ignored(http: httpx.AsyncClient, url: str) -> None:
    assert (await create(http, existing_url=url)).json()["endpoint"] == "http://127.0.0.1:10240/"


async def test_a_create_with_a_silent_worker_is_503_and_leaves_nothing(
    http: httpx.AsyncClient, proxy: ReferenceProxy
) -> None:
    proxy.faults.set(Faults(worker=WorkerState.SILENT, worker_answer_seconds=0.01))

    answer = await create(http)

    assert is_problem(answer, 503, "agent_generic_unavailable")
    assert answer.json()["msg"] == "E10001: Proxy worker not responding"
    assert len(proxy.circuits) == 0


async def test_delete_and_a_repeated_create_do_not_need_the_worker(
    http: httpx.AsyncClient, proxy: ReferenceProxy
) -> None:
    await create(http)

    for worker in (WorkerState.SILENT, WorkerState.LOST):
        proxy.faults.set(Faults(worker=worker))
        assert (await create(http)).status_code == 200
    assert (await delete(http)).status_code == 200


async def test_a_create_takes_effect_after_its_client_gave_up(http: httpx.AsyncClient, proxy: ReferenceProxy) -> None:
    proxy.faults.set(Faults(worker=WorkerState.SILENT))
    call = asyncio.create_task(create(http))
    await proxy.calls.until(lambda calls: calls.under_way == 1)
    call.cancel()
    await asyncio.wait([call])
    assert (await delete(http)).status_code == 404

    proxy.faults.set(Faults())
    await proxy.calls.until(lambda calls: calls.under_way == 0)

    assert [circuit.endpoint_id for circuit in proxy.circuits.all()] == [ID]


async def test_a_create_without_worker_is_503(http: httpx.AsyncClient, proxy: ReferenceProxy) -> None:
    proxy.faults.set(Faults(worker=WorkerState.LOST))

    answer = await create(http)

    assert is_problem(answer, 503, "agent_access_not-found")
    assert answer.json()["type"].endswith("worker-not-available")


async def test_a_create_without_free_port_is_503() -> None:
    headers = {"X-BackendAI-Token": TOKEN}
    async with (
        ReferenceProxy(TOKEN, ports=range(10240, 10241)) as proxy,
        httpx.AsyncClient(base_url=proxy.address, headers=headers, trust_env=False) as http,
    ):
        await create(http)
        answer = await create(http, uuid4())

    assert is_problem(answer, 503, "agent_access_not-found")


async def test_who_asks_for_html_gets_any_error_as_500(http: httpx.AsyncClient) -> None:
    answer = await http.delete(f"/v2/endpoints/{ID}", headers={"Accept": "text/html"})

    assert answer.status_code == 500
    assert "Template 'error' not found" in answer.text


async def test_another_path_is_404(http: httpx.AsyncClient) -> None:
    assert is_problem(await http.get("/v2/elsewhere"), 404, "agent_request_not-found")


async def test_a_stopped_proxy_refuses_connections_and_remembers_its_endpoints(
    http: httpx.AsyncClient, proxy: ReferenceProxy
) -> None:
    await create(http)

    await proxy.stop()
    with pytest.raises(httpx.ConnectError):
        await create(http)
    await proxy.start()

    assert (await delete(http)).status_code == 200


async def test_a_stop_cuts_off_calls_under_way(http: httpx.AsyncClient, proxy: ReferenceProxy) -> None:
    proxy.faults.set(Faults(delay_seconds=60))
    call = asyncio.create_task(create(http))
    await proxy.calls.until(lambda calls: calls.under_way == 1)

    await proxy.stop()

    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        await call
    assert len(proxy.circuits) == 0
