"""Reference part: a stand-in for an AppProxy that answers like one, case by case, and misbehaves on demand.

It answers as one of two :class:`releases <ProxyRelease>` does. Beside ``POST|DELETE /v2/endpoints/{id}``, and ``POST
/v2/endpoints/bulk`` where the release has it, there are control paths, which need no token:

- ``GET /reference/circuits``: the endpoints that it holds; ``DELETE`` forgets them, as a lost database would.
- ``GET|PUT|DELETE /reference/faults``: what goes wrong (:class:`~service.demo.reference_proxy_faults.Faults`).
- ``GET /reference/calls``: how many creates and deletes arrived, and the most that were under way at once.
"""

import hmac
from collections.abc import Awaitable, Callable
from enum import StrEnum
from uuid import UUID

from pydantic import SecretStr, ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from service.demo import reference_proxy_answers as answers
from service.demo.reference_proxy_calls import CallCounter
from service.demo.reference_proxy_circuits import Circuit, CircuitTable, PortsExhausted, PortTaken
from service.demo.reference_proxy_faults import FaultBoard, Faults, ProxyOperation, WorkerState

_WORKER = "reference-worker"

_Serve = Callable[[Request], Awaitable[Response]]


class ProxyRelease(StrEnum):
    """What the releases of the real proxy differ in.

    SINGLE (as 26.4.2): a create names one endpoint; a circuit is kept once the worker acknowledged it; a delete of what
    is not there is answered 404. LISTS (as 26.9.6): a create of one endpoint always breaks, a list of them works; a
    circuit is kept before the worker is asked, and stays if the worker is silent; every delete succeeds.
    """

    SINGLE = "single"
    LISTS = "lists"


class _ConnectionToBeReset(Exception):
    """No answer: the connection is to be reset instead."""


class ReferenceProxyApp:
    """The behaviour of the reference proxy, as an ASGI application in :attr:`asgi`.

    Args:
        token: What callers have to send.
        circuits: The endpoints it begins with.
        reset_connection: Resets the connection of a request, given the client's host and port.
        release: Which release it answers as.
    """

    def __init__(
        self,
        token: SecretStr,
        circuits: CircuitTable,
        reset_connection: Callable[[tuple[str, int]], None],
        release: ProxyRelease = ProxyRelease.SINGLE,
    ) -> None:
        self.circuits = circuits
        self.faults = FaultBoard()
        self.calls = CallCounter()
        self._token = token
        self._reset_connection = reset_connection
        self._release = release
        self.asgi = Starlette(
            routes=[
                Route("/v2/endpoints/bulk", self._list, methods=["POST"]),
                Route("/v2/endpoints/{endpoint_id}", self._endpoint, methods=["POST", "DELETE"]),
                Route("/reference/circuits", self._control_circuits, methods=["GET", "DELETE"]),
                Route("/reference/faults", self._control_faults, methods=["GET", "PUT", "DELETE"]),
                Route("/reference/calls", self._control_calls, methods=["GET"]),
            ],
            exception_handlers={
                answers.Problem: _answer_problem,
                HTTPException: _answer_unknown_path,
                _ConnectionToBeReset: self._reset,
            },
        )

    async def _endpoint(self, request: Request) -> Response:
        if request.method == "DELETE":
            return await self._struck(ProxyOperation.DELETE, self._delete, request)
        if self._release is ProxyRelease.SINGLE:
            return await self._struck(ProxyOperation.CREATE, self._create, request)
        self._check_token(request)
        answers.parsed_create(await request.body())
        raise answers.internal_error()

    async def _list(self, request: Request) -> Response:
        if self._release is ProxyRelease.SINGLE:
            return await self._create(request)  # where "bulk" is an id like any other
        return await self._struck(ProxyOperation.CREATE, self._create_listed, request)

    async def _struck(self, operation: ProxyOperation, serve: _Serve, request: Request) -> Response:
        with self.calls.counted(operation):
            if not self.faults.strikes(operation):
                return await serve(request)
            await self._strike_before_effect()
            return self._strike_after_effect(await serve(request))

    async def _strike_before_effect(self) -> None:
        highest = self.faults.faults.collapse_above
        if highest is not None and self.calls.under_way > highest:
            raise answers.internal_error()
        await self.faults.delay()
        if status := self.faults.take_status():
            raise answers.ordered_status(status)
        if self.faults.take("resets_before_effect"):
            raise _ConnectionToBeReset

    def _strike_after_effect(self, response: Response) -> Response:
        if self.faults.take("resets_after_effect"):
            raise _ConnectionToBeReset
        if self.faults.take("errors_after_effect"):
            raise answers.internal_error()
        if self.faults.take("garbage_answers"):
            return Response(self.faults.faults.garbage_body, media_type="text/html")
        return response

    async def _create(self, request: Request) -> Response:
        self._check_token(request)
        wanted = answers.parsed_create(await request.body())
        circuit = await self._circuit_for(_endpoint_id(request), wanted)
        enabled = circuit.health_check_enabled
        return JSONResponse({"success": True, "endpoint": circuit.url, "health_check_enabled": enabled})

    async def _create_listed(self, request: Request) -> Response:
        self._check_token(request)
        created = [
            (wanted.deployment_id, await self._circuit_for(wanted.deployment_id, wanted))
            for wanted in answers.parsed_list(await request.body()).endpoints
        ]
        listed = [
            {"deployment_id": str(key), "url": circuit.url, "health_check_enabled": circuit.health_check_enabled}
            for key, circuit in created
        ]
        return JSONResponse({"endpoints": listed})

    async def _delete(self, request: Request) -> Response:
        self._check_token(request)
        if not self.circuits.remove(_endpoint_id(request)) and self._release is ProxyRelease.SINGLE:
            raise answers.no_such_endpoint()
        return JSONResponse({"success": True})

    def _check_token(self, request: Request) -> None:
        sent = request.headers.get("x-backendai-token", "")
        bare = sent.removeprefix("Bearer ").removeprefix("BackendAI ")
        if not hmac.compare_digest(bare.encode(), self._token.get_secret_value().encode()):
            raise answers.unauthorized()

    async def _circuit_for(self, endpoint_id: UUID, wanted: answers.CreateRequest) -> Circuit:
        """Find or make the endpoint's circuit, which is kept before or after its worker acknowledged it."""
        if (circuit := self._adopted(endpoint_id, wanted)) is not None:
            return circuit
        port = self.circuits.port_for(str(wanted.tags.endpoint.existing_url or "") or None)
        self._check_available(port)
        if self._release is ProxyRelease.LISTS:
            circuit = self._added(endpoint_id, wanted, port)
            await self._wait_for_worker()
            return circuit
        await self._wait_for_worker()
        self._check_available(port=None)
        # Another call may have waited beside this one.
        return self._adopted(endpoint_id, wanted) or self._added(endpoint_id, wanted, port)

    def _adopted(self, endpoint_id: UUID, wanted: answers.CreateRequest) -> Circuit | None:
        circuit = self.circuits.get(endpoint_id)
        return circuit and self.circuits.set_health_check(circuit, enabled=wanted.health_check is not None)

    def _added(self, endpoint_id: UUID, wanted: answers.CreateRequest, port: int | None) -> Circuit:
        try:
            return self.circuits.add(
                endpoint_id,
                service_name=wanted.service_name,
                open_to_public=wanted.open_to_public,
                health_check=wanted.health_check is not None,
                port=port,
            )
        except PortTaken:
            raise answers.port_not_available() from None
        except PortsExhausted:
            raise answers.worker_not_available() from None

    async def _wait_for_worker(self) -> None:
        if not await self.faults.worker_acknowledges():
            raise answers.worker_not_responding(_WORKER)

    def _check_available(self, port: int | None) -> None:
        if self.faults.faults.worker is WorkerState.LOST:
            raise answers.worker_not_available()
        if port is not None and self.circuits.is_taken(port):
            raise answers.port_not_available()

    async def _reset(self, request: Request, _error: Exception) -> Response:
        if request.client is not None:
            self._reset_connection((request.client.host, request.client.port))
        while (await request.receive())["type"] != "http.disconnect":
            pass  # what was left of the request
        return Response()

    async def _control_circuits(self, request: Request) -> Response:
        if request.method == "DELETE":
            self.circuits.clear()
        return JSONResponse([circuit.model_dump(mode="json") for circuit in self.circuits.all()])

    async def _control_faults(self, request: Request) -> Response:
        if request.method == "DELETE":
            self.faults.set(Faults())
        elif request.method == "PUT":
            try:
                self.faults.set(Faults.model_validate_json(await request.body()))
            except ValidationError as error:
                return Response(error.json(include_url=False), 400, media_type="application/json")
        return Response(self.faults.faults.model_dump_json(), media_type="application/json")

    async def _control_calls(self, _request: Request) -> Response:
        return JSONResponse(self.calls.counts())


def _endpoint_id(request: Request) -> UUID:
    """Read the id from the path; the one in the body is ignored, and what is no UUID breaks the real proxy too."""
    try:
        return UUID(request.path_params["endpoint_id"])
    except ValueError:
        raise answers.internal_error() from None


async def _answer_problem(request: Request, error: Exception) -> Response:
    if not isinstance(error, answers.Problem):
        raise error
    return answers.problem_response(error, request)


async def _answer_unknown_path(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    problem = answers.Problem(status, "url-not-found", "Unknown URL path.", "agent_request_not-found")
    return answers.problem_response(problem, request)
