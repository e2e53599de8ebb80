"""Answers of Prometheus, or of anything that speaks its HTTP API, to instant queries and to queries over a range."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx

from adapters.http_client import beginning_of, new_client
from adapters.http_errors import words_of
from adapters.prometheus_answers import read_answer, reason_in
from adapters.prometheus_ranges import read_range
from handlers.metric_queries import Measurement, MetricQueryFailed, QueryAnswer

_INSTANT: Final = "/api/v1/query"
_RANGE: Final = "/api/v1/query_range"
#: What says that a server, or a proxy before it, takes queries by GET only.
_NOT_BY_POST: Final = frozenset({HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED})
#: How much longer than the server the client waits, so that a server's own words on a slow query arrive (ratio).
_SERVER_SHARE: Final = 0.9

#: Gives the bearer token, or ``None``. Raises ``ValueError`` where it cannot, without the token in its text.
TokenSource = Callable[[], str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class PrometheusLimits:
    """Bounds of a query.

    ``timeout_seconds`` from the wait for a connection to the last byte of the answer; ``connections``: most at a time
    (count); ``keepalive_seconds``: how long an idle one is kept; ``max_body_bytes``: the most that is read of an
    answer.
    """

    timeout_seconds: float = 5.0
    connections: int = 8
    keepalive_seconds: float = 60.0
    max_body_bytes: int = 4 * 1024 * 1024


def _no_token() -> None:
    return None


class PrometheusQueries:
    """Implements :class:`handlers.metric_queries.MetricQueries`, until :meth:`close`.

    Args:
        url: http(s) address of the server; a path before ``/api/v1`` may belong to it, credentials may not.
        token: Gives the bearer token, asked anew for each query, so that it may change.
        ca_file: The certificates (PEM) that an https server is checked against; without it, the well-known ones.

    Raises:
        ValueError: The address cannot be used.
        OSError: ``ca_file`` cannot be read, or holds no certificate.
    """

    def __init__(
        self,
        url: str,
        *,
        token: TokenSource = _no_token,
        ca_file: Path | None = None,
        limits: PrometheusLimits = PrometheusLimits(),
    ) -> None:
        self._address = usable_address(url)
        self._token = token
        self._limits = limits
        self._by_get = False
        self._client = new_client(
            ca_file=ca_file, max_connections=limits.connections, keepalive_seconds=limits.keepalive_seconds
        )

    async def ask(self, query: str) -> QueryAnswer:
        """Give what ``query`` comes to now: a scalar, a vector of one element, or one element for each ``route_id``.

        Raises :class:`~handlers.metric_queries.MetricQueryFailed`.
        """
        return read_answer(await self._ask(_INSTANT, {"query": query}))

    async def ask_range(
        self, query: str, since: datetime, until: datetime, step_seconds: float
    ) -> Sequence[Measurement]:
        """Give what ``query`` came to at every step between two moments, oldest first, as :meth:`ask` gives it.

        Raises :class:`~handlers.metric_queries.MetricQueryFailed`.
        """
        span = {"start": f"{since.timestamp():.3f}", "end": f"{until.timestamp():.3f}", "step": f"{step_seconds:g}"}
        return read_range(await self._ask(_RANGE, {"query": query, **span}))

    async def _ask(self, path: str, form: Mapping[str, str]) -> bytes:
        try:
            async with asyncio.timeout(self._limits.timeout_seconds):
                status, body = await self._send(path, form)
        except TimeoutError:
            raise MetricQueryFailed(f"no answer within {self._limits.timeout_seconds:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            # Without its cause: httpx's frames hold the headers, and with them the token.
            raise MetricQueryFailed(words_of(error)) from None
        if status != HTTPStatus.OK:
            raise MetricQueryFailed(f"answered {status}{reason_in(body)}")
        return body

    async def close(self) -> None:
        """Close all connections; queries under way fail. Closing again does nothing."""
        await self._client.aclose()

    async def _send(self, path: str, asked: Mapping[str, str]) -> tuple[int, bytes]:
        form = {**asked, "timeout": f"{self._limits.timeout_seconds * _SERVER_SHARE:.3g}"}
        if not self._by_get:
            # By POST first: a long query may not fit into an address.
            status, body = await self._receive("POST", path, form)
            if status not in _NOT_BY_POST:
                return status, body
            self._by_get = True
        return await self._receive("GET", path, form)

    async def _receive(self, method: str, path: str, form: Mapping[str, str]) -> tuple[int, bytes]:
        by_post = method == "POST"
        request = self._client.stream(
            method,
            self._address + path,
            data=form if by_post else None,
            params=None if by_post else form,
            headers=self._credentials(),
            timeout=self._limits.timeout_seconds,
        )
        async with request as response:
            body, more = await beginning_of(response, self._limits.max_body_bytes)
            if more and response.is_success:
                raise MetricQueryFailed(f"answered with over {self._limits.max_body_bytes} bytes")
            return response.status_code, body

    def _credentials(self) -> Mapping[str, str]:
        try:
            token = self._token()
        except ValueError as error:
            raise MetricQueryFailed(f"there is no token: {error}") from None
        if token is None:
            return {}
        if not token.isascii() or not token.isprintable():
            raise MetricQueryFailed("the token holds characters that no header can")
        return {"Authorization": f"Bearer {token}"}


def usable_address(url: str) -> str:
    """Give the address without a slash at its end. Raises ``ValueError``, without credentials in its text."""
    expected = "the address of Prometheus has to be http://HOST:PORT or https://HOST:PORT"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(expected) from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        raise ValueError(expected)
    if parts.username is not None or parts.password is not None:
        raise ValueError("the address of Prometheus holds credentials: give a token instead")
    if parts.query or parts.fragment:
        raise ValueError("the address of Prometheus ends with its path: there can be no ? or # in it")
    return url.rstrip("/")
