"""Reference part: the bodies that the reference proxy reads and writes, as a real AppProxy has them."""

import json
from typing import Annotated, Any, TypeVar
from uuid import UUID

from pydantic import AnyUrl, BaseModel, Field, JsonValue, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

_Body = TypeVar("_Body", bound=BaseModel)

_TYPES = "https://api.backend.ai/probs"


class SessionTags(BaseModel):
    """Whose endpoint it is."""

    user_uuid: UUID
    group_id: UUID
    domain_name: str


class EndpointTags(BaseModel):
    """What the endpoint is for; ``existing_url`` asks for the port that it had before."""

    id: UUID
    runtime_variant: str | None = None
    existing_url: AnyUrl | None


class Tags(BaseModel):
    """Both sorts of tags."""

    session: SessionTags
    endpoint: EndpointTags


class HealthCheck(BaseModel):
    """How the proxy is to check the replicas; times in seconds."""

    path: str
    interval: Annotated[float, Field(ge=0)] = 10.0
    max_retries: Annotated[int, Field(ge=0)] = 10
    max_wait_time: Annotated[float, Field(ge=0)] = 15.0
    expected_status_code: Annotated[int, Field(gt=100)] = 200
    initial_delay: Annotated[float, Field(ge=0)] = 60.0


class CreateRequest(BaseModel):
    """The body of a create."""

    version: str
    service_name: str
    tags: Tags
    apps: dict[str, JsonValue] = {}
    open_to_public: bool = False
    health_check: HealthCheck | None = None


class ListedCreate(CreateRequest):
    """One entry of a list; ``deployment_id`` is the endpoint's."""

    deployment_id: UUID


class CreateList(BaseModel):
    """The body of a create of several endpoints."""

    endpoints: list[ListedCreate]


class Problem(Exception):
    """An answer other than success; ``data`` holds details that programs may read."""

    def __init__(
        self, status: int, type_: str, title: str, error_code: str, *, msg: str | None = None, data: JsonValue = None
    ) -> None:
        super().__init__(title)
        self.status = status
        self.body: dict[str, JsonValue] = {"type": f"{_TYPES}/{type_}", "title": title, "error_code": error_code}
        if msg is not None:
            self.body["msg"] = msg
        if data is not None:
            self.body["data"] = data


def unauthorized() -> Problem:
    """Answer a missing or wrong token."""
    title, code = "Credential/signature mismatch.", "agent_auth_unauthorized"
    return Problem(401, "auth-failed", title, code, msg="Unauthorized access")


def invalid_request(msg: str, data: JsonValue = None) -> Problem:
    """Answer a body that is not JSON, or not of the right form; ``data`` says what is wrong."""
    title, code = "Missing or invalid API parameters.", "agent_request_invalid-parameters"
    return Problem(400, "invalid-api-params", title, code, msg=msg, data=data)


def no_such_endpoint() -> Problem:
    """Answer a delete of what is not there."""
    return Problem(404, "object-not-found", "E00002: No such endpoint.", "agent_read_not-found")


def port_not_available() -> Problem:
    """Answer a create that wants to keep a URL whose port another endpoint has."""
    title, code = "Designated port already occupied.", "agent_setup_already-exists"
    return Problem(409, "appproxy/port-not-available", title, code)


def internal_error(msg: str | None = None) -> Problem:
    """Answer what broke the proxy."""
    return Problem(500, "internal-server-error", "Internal server error.", "agent_generic_internal-error", msg=msg)


def worker_not_responding(worker: str) -> Problem:
    """Answer a create whose worker is listed but did not acknowledge it."""
    msg, code = "E10001: Proxy worker not responding", "agent_generic_unavailable"
    return Problem(503, "service-unavailable", "Service unavailable.", code, msg=msg, data={"worker": worker})


def worker_not_available() -> Problem:
    """Answer a create that no worker is listed for, or none with a free port."""
    return Problem(503, "appproxy/worker-not-available", "Worker not available.", "agent_access_not-found")


def ordered_status(status: int) -> Problem:
    """Make the answer for a status that was ordered as a fault."""
    return Problem(status, "ordered-fault", f"Ordered fault {status}.", "reference_fault_ordered")


def problem_response(problem: Problem, request: Request) -> Response:
    """Answer with a problem; who asks for HTML meets the real proxy's missing template."""
    if "text/html" in request.headers.get("accept", ""):
        problem = internal_error("Template 'error' not found")
    headers = {"location": "/elsewhere"} if problem.status // 100 == 3 else None  # noqa: PLR2004 - 3xx
    return JSONResponse(problem.body, problem.status, headers)


def parsed_create(body: bytes) -> CreateRequest:
    """Read the body of a create. Raises what :func:`_parsed` raises."""
    return _parsed(CreateRequest, body)


def parsed_list(body: bytes) -> CreateList:
    """Read the body of a create of several endpoints. Raises what :func:`_parsed` raises."""
    return _parsed(CreateList, body)


def _parsed(model: type[_Body], body: bytes) -> _Body:
    """Read a body.

    Raises:
        Problem: 400: it is not JSON, or not of the right form.
    """
    try:
        content: Any = json.loads(body) if body else {}
    except (ValueError, RecursionError):
        raise invalid_request("Malformed body") from None
    try:
        return model.model_validate(content)
    except ValidationError as error:
        # The errors repeat the input, where Python's reader lets NaN pass.
        data = json.loads(error.json(include_url=False, include_context=False), parse_constant=str)
        raise invalid_request("Input validation error", data) from None
