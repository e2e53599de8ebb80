"""Reference part: a stand-in for an AppProxy that answers like one, case by case, and misbehaves on demand.

Beside ``POST|DELETE /v2/endpoints/{id}`` it has control paths, which need no token:

- ``GET /reference/circuits``: the endpoints that it holds; ``DELETE`` forgets them, as a lost database would.
- ``GET|PUT|DELETE /reference/faults``: what goes wrong (:class:`~service.demo.reference_proxy_faults.Faults`).
- ``GET /reference/calls``: how many creates and deletes arrived, and the most that were under way at once.
"""

import hmac
from collections.abc import Callable
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


class _ConnectionToBeReset(Exception):
    """No answer: the connection is to be reset instead."""


class ReferenceProxyApp:
    """The behaviour of the reference proxy, as an ASGI application in :attr:`asgi`.

    Args:
        token: What callers have to send.
        circuits: The endpoints it begins with.
        reset_connection: Resets the connection of a request, given the client's host and port.
    """

    def __init__(
        self, token: SecretStr, circuits: CircuitTable, reset_connection: Callable[[tuple[str, int]], None]
    ) -> None:
        self.circuits = circuits
        self.faults = FaultBoard()
        self.calls = CallCounter()
        self._token = token
        self._reset_connection = reset_connection
        self.asgi = Starlette(
            routes=[
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
        operation = ProxyOperation.CREATE if request.method == "POST" else ProxyOperation.DELETE
        serve = self._create if operation is ProxyOperation.CREATE else self._delete
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

    async def _delete(self, request: Request) -> Response:
        self._check_token(request)
        if not self.circuits.remove(_endpoint_id(request)):
            raise answers.no_such_endpoint()
        return JSONResponse({"success": True})

    def _check_token(self, request: Request) -> None:
        sent = request.headers.get("x-backendai-token", "")
        bare = sent.removeprefix("Bearer ").removeprefix("BackendAI ")
        if not hmac.compare_digest(bare.encode(), self._token.get_secret_value().encode()):
            raise answers.unauthorized()

    async def _circuit_for(self, endpoint_id: UUID, wanted: answers.CreateRequest) -> Circuit:
        """Find or make the endpoint's circuit. Nothing is kept, and nobody sees it, before the worker acknowledged."""
        health_check = wanted.health_check is not None
        if circuit := self.circuits.get(endpoint_id):
            return self.circuits.set_health_check(circuit, enabled=health_check)
        port = self.circuits.port_for(str(wanted.tags.endpoint.existing_url or "") or None)
        self._check_available(port)
        if not await self.faults.worker_acknowledges():
            raise answers.worker_not_responding(_WORKER)
        self._check_available(port=None)
        if circuit := self.circuits.get(endpoint_id):  # made by a call that waited beside this one
            return self.circuits.set_health_check(circuit, enabled=health_check)
        try:
            return self.circuits.add(
                endpoint_id,
                service_name=wanted.service_name,
                open_to_public=wanted.open_to_public,
                health_check=health_check,
                port=port,
            )
        except PortTaken:
            raise answers.port_not_available() from None
        except PortsExhausted:
            raise answers.worker_not_available() from None

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
