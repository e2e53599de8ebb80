"""The client of an app proxy: registers and removes the endpoint of a deployment."""

import asyncio
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from pydantic import SecretStr

from handlers.app_proxy_answers import failed_answer
from handlers.app_proxy_created import (
    LIST_PATH,
    created_endpoint,
    knows_no_lists,
    list_of_one,
    listed_endpoint,
    may_want_a_list,
)
from handlers.app_proxy_errors import AnswerNotUnderstood, AppProxyError, ProxyTargetInvalid, ProxyTimedOut
from handlers.client_session import ClientResponse, ClientSession
from handlers.proxy_address import proxy_base_url

TOKEN_HEADER = "X-BackendAI-Token"  # noqa: S105 - the header's name, not a token

#: How long a call may take (seconds). The proxy itself waits 15 seconds for its worker before it answers 503: giving up
#: earlier would turn that definite answer into an unknown one.
DEFAULT_TIMEOUT_SECONDS = 20.0

_NOT_FOUND = 404


class AppProxyClient:
    """Calls one app proxy on behalf of deployments.

    Both calls are safe to repeat: the endpoint's id is the key, so a second create adopts what the first one made. A
    failed call raises a subclass of :class:`~handlers.app_proxy_errors.AppProxyError`, whose ``kind`` says whether the
    call may have taken effect, or whatever the session raises by itself. The token appears in no message or ``repr``.
    A create may take two requests: some releases of the proxy take an endpoint only in a list
    (:mod:`handlers.app_proxy_created`).

    Args:
        session: Sends the requests.
        address: ``host:port`` or an http(s) URL.
        token: The secret that the proxy shares with its callers.
        timeout_seconds: How long a request may take, from first byte sent to last byte received (seconds).

    Raises:
        ProxyTargetInvalid: The address or the token cannot be used.
        ValueError: ``timeout_seconds`` is not above zero.
    """

    def __init__(
        self,
        session: ClientSession,
        address: str,
        token: SecretStr | str,
        *,
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
    ) -> None:
        if not timeout_seconds > 0:
            raise ValueError(f"timeout_seconds is {timeout_seconds}, it must be above 0")
        self._session = session
        self._base_url = proxy_base_url(address)
        self._token = token if isinstance(token, SecretStr) else SecretStr(token)
        self._timeout_seconds = timeout_seconds
        check_token(self._token)

    def __repr__(self) -> str:
        return f"AppProxyClient({self._base_url!r})"

    async def create_endpoint(
        self, endpoint_id: UUID, body: Mapping[str, Any], *, timeout_seconds: float | None = None
    ) -> dict[str, Any]:
        """Register the endpoint, or adopt the one that is registered already.

        Returns:
            The proxy's answer; ``"endpoint"`` is the endpoint's URL.
        """
        operation = f"create endpoint {endpoint_id} at {self._base_url}"
        answer = await self._send("POST", str(endpoint_id), body, operation, timeout_seconds)
        if _is_success(answer):
            endpoint = created_endpoint(answer, operation)
        else:
            failure = failed_answer(answer.status_code, answer.content, operation, self._token)
            if not may_want_a_list(failure):
                raise failure
            endpoint = await self._create_in_list(endpoint_id, body, operation, timeout_seconds, failure)
        if self._token.get_secret_value() in endpoint["endpoint"]:
            raise AnswerNotUnderstood(f"{operation}: answered {answer.status_code} with the token in the URL")
        return endpoint

    async def delete_endpoint(self, endpoint_id: UUID, *, timeout_seconds: float | None = None) -> None:
        """Remove the endpoint; one that is not there counts as removed."""
        operation = f"delete endpoint {endpoint_id} at {self._base_url}"
        answer = await self._send("DELETE", str(endpoint_id), None, operation, timeout_seconds)
        if not (_is_success(answer) or answer.status_code == _NOT_FOUND):
            raise failed_answer(answer.status_code, answer.content, operation, self._token)

    async def _create_in_list(
        self,
        endpoint_id: UUID,
        body: Mapping[str, Any],
        operation: str,
        timeout_seconds: float | None,
        failure: AppProxyError,
    ) -> dict[str, Any]:
        """Try again with a list of one; ``failure`` is what is raised if the proxy knows no lists."""
        listed = list_of_one(endpoint_id, body)
        answer = await self._send("POST", LIST_PATH, listed, operation, timeout_seconds)
        if knows_no_lists(answer.status_code):
            raise failure
        if not _is_success(answer):
            raise failed_answer(answer.status_code, answer.content, operation, self._token)
        return listed_endpoint(answer, endpoint_id, operation)

    async def _send(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        operation: str,
        timeout_seconds: float | None,
    ) -> ClientResponse:
        seconds = self._timeout_seconds if timeout_seconds is None else timeout_seconds
        headers = _Headers({TOKEN_HEADER: self._token.get_secret_value(), "Accept": "application/json"})
        url = f"{self._base_url}/v2/endpoints/{path}"
        # A session's own timeout is per read and write, so a proxy that sends a byte a second would never meet it.
        deadline = asyncio.timeout(seconds)
        try:
            async with deadline:
                return await self._session.request(method, url, headers=headers, json=body, timeout=seconds)
        except TimeoutError:
            if not deadline.expired():
                raise
            raise ProxyTimedOut(f"{operation}: no answer within {seconds:g} s") from None


class _Headers(dict[str, str]):
    """Headers that do not show their values, so that a traceback with local variables holds no token."""

    def __repr__(self) -> str:
        return f"<headers {', '.join(self)}>"


def check_token(token: SecretStr) -> None:
    """Raise :class:`ProxyTargetInvalid` for a token that no header can carry; it is not in the message."""
    text = token.get_secret_value()
    if not text or not text.isascii() or not text.isprintable() or text != text.strip():
        raise ProxyTargetInvalid("proxy token is empty, or holds spaces at an end or what a header cannot carry")


def _is_success(answer: ClientResponse) -> bool:
    return 200 <= answer.status_code < 300  # noqa: PLR2004 - the bounds of 2xx
