"""The HTTP session to app proxies, on httpx."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from adapters.http_client import beginning_of, new_client
from adapters.http_errors import words_of
from domain.quantities import Bytes, Count, Seconds, SecondsOrNone
from handlers.app_proxy import DEFAULT_TIMEOUT_SECONDS
from handlers.app_proxy_errors import (
    AnswerNotUnderstood,
    AppProxyError,
    ConnectionBroken,
    ProxyTargetInvalid,
    ProxyTimedOut,
    ProxyUnreachable,
)
from handlers.client_session import ClientSession

#: Scheme, host and port: what a connection is made to.
_Origin = tuple[str, str | None, int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpxClientPoolLimits:
    """Limits of the pool.

    ``max_connections`` (count, to all proxies together) should not be below the calls that are allowed at a time;
    ``keepalive_seconds`` is how
    long an idle connection is kept; ``connect_timeout_seconds`` bounds making a connection, apart from the call's own
    timeout; ``max_body_bytes`` is the most that is read of an answer.
    """

    max_connections: Count = 256
    keepalive_seconds: SecondsOrNone = 30.0
    connect_timeout_seconds: Seconds = 5.0
    max_body_bytes: Bytes = 64 * 1024


@dataclass(slots=True)
class _Client:
    """A client and how many calls are under way on it (count)."""

    http: httpx.AsyncClient
    calls: int = 0
    is_retired: bool = False

    async def close_unless_busy(self) -> None:
        if self.is_retired and not self.calls:
            await self.http.aclose()


@dataclass(frozen=True, slots=True)
class TrustedClients:
    """Connections that are checked against certificates of their own, to be taken into use by the pool."""

    by_origin: Mapping[_Origin, _Client]
    #: By the certificates themselves: a file may be replaced by another of the same name.
    by_certificates: Mapping[bytes, _Client]


class HttpxClientPool:
    """Keeps one session for the calls to all app proxies, until :meth:`close`.

    It follows no redirects and takes no proxy or credentials from the environment.

    Args:
        limits: Of its connections and of the answers.
        ca_file: The certificates (PEM) that https proxies are checked against; without it, the well-known ones.

    Raises:
        OSError: ``ca_file`` cannot be read (:class:`ssl.SSLError`, a subclass, if it holds no certificate).
    """

    def __init__(self, limits: HttpxClientPoolLimits | None = None, *, ca_file: Path | None = None) -> None:
        self._session = _HttpxSession(limits or HttpxClientPoolLimits(), ca_file)
        self._closed = False

    def load_client_session(self) -> ClientSession:
        """Give the session; connections are kept apart by address inside.

        Raises:
            RuntimeError: The pool is closed.
        """
        if self._closed:
            raise RuntimeError("the client pool is closed")
        return self._session

    def read_certificates(self, ca_files: Mapping[str, Path]) -> TrustedClients:
        """Read the certificates (PEM) that the proxies at these base URLs are to be checked against.

        Blocks, and changes nothing before :meth:`trust` is called. Raises what the constructor raises.
        """
        return self._session.read_certificates({_origin(url): file for url, file in ca_files.items()})

    async def trust(self, clients: TrustedClients) -> None:
        """From now on check the proxies against certificates of their own that were read, and no others so.

        Calls under way are left alone; what is no longer used is closed as soon as they are over.
        """
        await self._session.trust(clients)

    async def close(self) -> None:
        """Close the session; calls under way fail. Closing again does nothing."""
        self._closed = True
        await self._session.close()


def _origin(url: str) -> _Origin:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port


@dataclass(frozen=True, slots=True)
class _Answer:
    status_code: int
    content: bytes = field(repr=False)  # may repeat the token


class _HttpxSession:
    """A :class:`~handlers.client_session.ClientSession` that bounds the answer and speaks Routekeeper's errors."""

    def __init__(self, limits: HttpxClientPoolLimits, ca_file: Path | None) -> None:
        self._limits = limits
        self._client = self._new_client(ca_file)
        self._trusted = TrustedClients({}, {})

    def read_certificates(self, ca_files: Mapping[_Origin, Path]) -> TrustedClients:
        by_origin: dict[_Origin, _Client] = {}
        by_certificates: dict[bytes, _Client] = {}
        for origin, file in ca_files.items():
            certificates = file.read_bytes()
            client = by_certificates.get(certificates) or self._trusted.by_certificates.get(certificates)
            by_origin[origin] = by_certificates[certificates] = client or self._new_client(file)
        return TrustedClients(by_origin, by_certificates)

    async def trust(self, trusted: TrustedClients) -> None:
        before, self._trusted = self._trusted, trusted
        for certificates, client in before.by_certificates.items():
            client.is_retired = trusted.by_certificates.get(certificates) is not client
            await client.close_unless_busy()

    def _new_client(self, ca_file: Path | None) -> _Client:
        limits = self._limits
        return _Client(
            new_client(
                ca_file=ca_file, max_connections=limits.max_connections, keepalive_seconds=limits.keepalive_seconds
            )
        )

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        json: Any = None,  # noqa: ANN401 - whatever JSON can express
        timeout: float | None = None,  # noqa: ASYNC109 - the name and place it has in httpx
    ) -> _Answer:
        seconds = DEFAULT_TIMEOUT_SECONDS if timeout is None else timeout
        # Below the caller's own deadline, which would make "not connected" an unknown outcome.
        connect = min(self._limits.connect_timeout_seconds, seconds / 2)
        phases = httpx.Timeout(seconds, connect=connect, pool=connect)
        client = self._trusted.by_origin.get(_origin(url), self._client)
        client.calls += 1
        try:
            async with client.http.stream(method, url, headers=headers, json=json, timeout=phases) as response:
                return _Answer(response.status_code, await self._body_of(response))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            # Without its cause: httpx's frames hold the headers, and with them the token.
            raise _translated(error, f"{method} {url}") from None
        finally:
            client.calls -= 1
            await client.close_unless_busy()

    async def close(self) -> None:
        for client in (self._client, *self._trusted.by_certificates.values()):
            await client.http.aclose()

    async def _body_of(self, response: httpx.Response) -> bytes:
        """Read up to ``max_body_bytes``; of an answer other than success, the beginning will do."""
        most = self._limits.max_body_bytes
        body, more = await beginning_of(response, most)
        if more and response.is_success:
            what = f"{response.request.method} {response.request.url}"
            raise AnswerNotUnderstood(f"{what}: answered {response.status_code} with over {most} bytes")
        return body


def _translated(error: httpx.HTTPError | httpx.InvalidURL, operation: str) -> AppProxyError:
    words = f"{operation}: {words_of(error)}"
    match error:
        case httpx.ConnectError() | httpx.ConnectTimeout() | httpx.PoolTimeout():
            return ProxyUnreachable(words)
        case httpx.TimeoutException():
            return ProxyTimedOut(words)
        case httpx.InvalidURL() | httpx.UnsupportedProtocol():
            return ProxyTargetInvalid(words)
        case _:
            return ConnectionBroken(words)
