"""The HTTP session to app proxies, on connections of aiohttp, with the errors of httpx."""

from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from json import JSONEncoder
from pathlib import Path
from typing import Any

import httpx
from yarl import URL

from adapters.http_client import NOT_COMPRESSED, beginning_of, new_transport
from adapters.http_errors import words_of
from adapters.http_transport import AiohttpTransport, UnshownHeaders
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

_encode = JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True, kw_only=True)
class AppProxyClientPoolLimits:
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

    http: AiohttpTransport
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


class AppProxyClientPool:
    """Keeps one session for the calls to all app proxies, until :meth:`close`.

    It follows no redirects and takes no proxy or credentials from the environment.

    Args:
        limits: Of its connections and of the answers.
        ca_file: The certificates (PEM) that https proxies are checked against; without it, the well-known ones.

    Raises:
        OSError: ``ca_file`` cannot be read (:class:`ssl.SSLError`, a subclass, if it holds no certificate).
    """

    def __init__(self, limits: AppProxyClientPoolLimits | None = None, *, ca_file: Path | None = None) -> None:
        self._session = _AppProxySession(limits or AppProxyClientPoolLimits(), ca_file)
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
        return self._session.read_certificates({_origin(URL(url)): file for url, file in ca_files.items()})

    async def trust(self, clients: TrustedClients) -> None:
        """From now on check the proxies against certificates of their own that were read, and no others so.

        Calls under way are left alone; what is no longer used is closed as soon as they are over.
        """
        await self._session.trust(clients)

    async def close(self) -> None:
        """Close the session; calls under way fail. Closing again does nothing."""
        self._closed = True
        await self._session.close()


def _origin(url: URL) -> _Origin:
    return url.scheme, url.raw_host, url.port


@dataclass(frozen=True, slots=True)
class _Answer:
    status_code: int
    content: bytes = field(repr=False)  # may repeat the token


class _AppProxySession:
    """A :class:`~handlers.client_session.ClientSession` that bounds the answer and speaks Routekeeper's errors."""

    def __init__(self, limits: AppProxyClientPoolLimits, ca_file: Path | None) -> None:
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
            new_transport(
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
        target = _parsed(url)
        body = b"" if json is None else _encode(json).encode()
        phases = self._phases(DEFAULT_TIMEOUT_SECONDS if timeout is None else timeout)
        client = self._trusted.by_origin.get(_origin(target), self._client)
        client.calls += 1
        try:
            answer = await client.http.send(method, target, _headers(headers, body), body, phases)
            async with aclosing(answer):
                return _Answer(answer.status_code, await self._body_of(answer, f"{method} {url}"))
        except httpx.HTTPError as error:
            # Without its cause: frames below hold the headers, and with them the token.
            raise _translated(error, f"{method} {url}") from None
        finally:
            client.calls -= 1
            await client.close_unless_busy()

    async def close(self) -> None:
        for client in (self._client, *self._trusted.by_certificates.values()):
            await client.http.aclose()

    def _phases(self, seconds: float) -> Mapping[str, float | None]:
        # Below the caller's own deadline, which would make "not connected" an unknown outcome.
        connect = min(self._limits.connect_timeout_seconds, seconds / 2)
        return {"connect": connect, "pool": connect, "read": seconds}

    async def _body_of(self, response: httpx.Response, operation: str) -> bytes:
        """Read up to ``max_body_bytes``; of an answer other than success, the beginning will do."""
        most = self._limits.max_body_bytes
        body, more = await beginning_of(response, most)
        if more and response.is_success:
            raise AnswerNotUnderstood(f"{operation}: answered {response.status_code} with over {most} bytes")
        return body


def _parsed(url: str) -> URL:
    """Parse a URL; it is not in the error, as it may hold credentials."""
    try:
        parsed = URL(url)
    except ValueError:
        raise ProxyTargetInvalid("proxy address is not a URL") from None
    if "@" in parsed.raw_authority:
        raise ProxyTargetInvalid("proxy address holds credentials; they belong into the token")
    return parsed


def _headers(own: Mapping[str, str], body: bytes) -> UnshownHeaders:
    headers = UnshownHeaders(NOT_COMPRESSED)
    if body:
        headers["Content-Type"] = "application/json"
    headers.update(own)
    return headers


def _translated(error: httpx.HTTPError, operation: str) -> AppProxyError:
    words = f"{operation}: {words_of(error)}"
    match error:
        case httpx.ConnectError() | httpx.ConnectTimeout() | httpx.PoolTimeout():
            return ProxyUnreachable(words)
        case httpx.TimeoutException():
            return ProxyTimedOut(words)
        case httpx.UnsupportedProtocol():
            return ProxyTargetInvalid(words)
        case _:
            return ConnectionBroken(words)
