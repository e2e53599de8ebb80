"""What is needed of an HTTP client to call app proxies."""

from collections.abc import Mapping
from typing import Any, Protocol


class ClientResponse(Protocol):
    """An HTTP response with its whole body."""

    @property
    def status_code(self) -> int: ...
    @property
    def content(self) -> bytes: ...


class ClientSession(Protocol):
    """What is needed of an HTTP client; :class:`httpx.AsyncClient` has it."""

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        json: Any = None,  # noqa: ANN401 - whatever JSON can express
        timeout: float | None = None,  # noqa: ASYNC109 - the name and place it has in httpx
    ) -> ClientResponse: ...


class ClientPool(Protocol):
    """Where the session for calls to app proxies comes from."""

    def load_client_session(self) -> ClientSession: ...
