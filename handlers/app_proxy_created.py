"""What a create says and is answered with, for one endpoint and for a list of them.

The proxy's releases differ. Early ones (seen: 26.4.2) take a create of one endpoint and know no lists: they read
``bulk`` as an id. Later ones (seen: 26.9.6) answer every valid create of one endpoint with 500, before they do
anything, and take the same endpoint in a list.
"""

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field, ValidationError

from handlers.app_proxy_errors import AnswerNotUnderstood, AppProxyError, ProxyAnsweredError
from handlers.client_session import ClientResponse

#: Where lists of endpoints go, in place of an endpoint's id.
LIST_PATH = "bulk"

_MAX_URL_LENGTH = 2000
_INTERNAL_ERROR = (500, "agent_generic_internal-error")

_Model = TypeVar("_Model", bound=BaseModel)


def _http_url(text: str) -> str:
    """Accept an absolute http(s) URL as it stands.

    Raises:
        ValueError: It is anything else.
    """
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("is not an http or https URL")
    if len(text) > _MAX_URL_LENGTH or not text.isprintable() or " " in text:
        raise ValueError(f"is longer than {_MAX_URL_LENGTH} characters or holds blanks")
    return text


_Url = Annotated[str, AfterValidator(_http_url)]


class _CreateAnswer(BaseModel):
    """The part of the proxy's answer to a create that is relied upon."""

    success: bool = True
    endpoint: _Url
    health_check_enabled: bool | None = None


class _Listed(BaseModel):
    deployment_id: UUID
    url: _Url
    health_check_enabled: bool | None = None


class _ListAnswer(BaseModel):
    endpoints: Annotated[list[_Listed], Field(min_length=1, max_length=1)]


def may_want_a_list(failure: AppProxyError) -> bool:
    """Whether a create of one endpoint failed as it always does at proxies that take lists only."""
    return isinstance(failure, ProxyAnsweredError) and (failure.status_code, failure.error_code) == _INTERNAL_ERROR


def knows_no_lists(status_code: int) -> bool:
    """Whether a list was answered as by a proxy without them; 409 is about the endpoint, and so an answer."""
    return 400 <= status_code < 500 and status_code != 409  # noqa: PLR2004 - 4xx but Conflict


def list_of_one(endpoint_id: UUID, body: Mapping[str, Any]) -> dict[str, Any]:
    """Make the list that says what ``body`` says of one endpoint."""
    return {"endpoints": [{"deployment_id": str(endpoint_id), **body}]}


def created_endpoint(answer: ClientResponse, operation: str) -> dict[str, Any]:
    """Read the answer to a create of one endpoint. Raises :class:`AnswerNotUnderstood`."""
    created = _parsed(_CreateAnswer, answer, operation)
    if not created.success:
        raise AnswerNotUnderstood(f"{operation}: answered {answer.status_code} with success = false")
    return created.model_dump(exclude_none=True)


def listed_endpoint(answer: ClientResponse, endpoint_id: UUID, operation: str) -> dict[str, Any]:
    """Read the answer to a list of one, as if it were that of one endpoint. Raises :class:`AnswerNotUnderstood`."""
    [listed] = _parsed(_ListAnswer, answer, operation).endpoints
    if listed.deployment_id != endpoint_id:
        raise AnswerNotUnderstood(f"{operation}: answered {answer.status_code} about endpoint {listed.deployment_id}")
    created = _CreateAnswer(endpoint=listed.url, health_check_enabled=listed.health_check_enabled)
    return created.model_dump(exclude_none=True)


def _parsed(model: type[_Model], answer: ClientResponse, operation: str) -> _Model:
    """Read an answer; it is handed on whole, because a traceback with local variables must not hold its content."""
    try:
        return model.model_validate_json(answer.content, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "body"
        what = f"{field}: {first['msg']} ({len(answer.content)} bytes)"
        raise AnswerNotUnderstood(f"{operation}: answered {answer.status_code}, but {what[:200]}") from None
