"""Connections of httpx by aiohttp: with its own a call takes 2.1 ms of the processor, sixteen at a time; so 0.13 ms."""

import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager

import aiohttp
import httpx
from multidict import CIMultiDict
from yarl import URL


class UnshownHeaders(CIMultiDict[str]):
    """Headers that do not show their values, so that a traceback with local variables holds no token."""

    def __repr__(self) -> str:
        return f"<headers {', '.join(self)}>"


class AiohttpTransport(httpx.AsyncBaseTransport):
    """Keeps at most ``max_connections`` (count) open, and each idle one for ``keepalive_seconds``.

    The errors are httpx's: what never left this machine is a :class:`httpx.ConnectError` or
    :class:`httpx.ConnectTimeout`, everything else may have reached the server. No cookies are kept, no redirects
    followed, nothing is taken from the environment, and answers are not unpacked. A request other than POST is sent
    once more where a connection breaks that had been used before.
    """

    def __init__(self, certificates: ssl.SSLContext, *, max_connections: int, keepalive_seconds: float) -> None:
        self._certificates = certificates
        self._max_connections = max_connections
        self._keepalive_seconds = keepalive_seconds
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        content, phases = await request.aread(), request.extensions.get("timeout", {})
        headers = UnshownHeaders(request.headers.multi_items())
        return await self.send(request.method, URL(str(request.url), encoded=True), headers, content, phases)

    async def send(
        self,
        method: str,
        url: URL,
        headers: UnshownHeaders,
        content: bytes,
        phases: Mapping[str, float | None],
    ) -> httpx.Response:
        """Send without an :class:`httpx.Request`, which with the parsing of its URL makes a call cost a third more.

        Host, Content-Length and User-Agent are added if they are not there. ``phases`` says how long (seconds) to wait
        for a connection (``pool``, and ``connect`` for one that has to be made) and for the next bytes (``read``);
        without one there is no end. Raises :class:`httpx.RequestError`, and ``RuntimeError`` after :meth:`aclose`.
        """
        if self._closed:
            raise RuntimeError("the connections are closed")
        session = self._session = self._session or self._open()
        with _errors_of_httpx():
            response = await session.request(
                method,
                url,
                headers=headers,
                data=content or None,
                allow_redirects=False,
                timeout=_timeout(phases),
            )
        return httpx.Response(response.status, headers=response.raw_headers, stream=_Body(response))

    def _open(self) -> aiohttp.ClientSession:
        """Only now, as it belongs to the running loop."""
        connector = aiohttp.TCPConnector(
            ssl=self._certificates, limit=self._max_connections, keepalive_timeout=self._keepalive_seconds
        )
        return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False)

    async def aclose(self) -> None:
        self._closed = True
        if self._session is not None:
            await self._session.close()


class _Body(httpx.AsyncByteStream):
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _errors_of_httpx():
            async for chunk in self._response.content.iter_any():
                yield chunk

    async def aclose(self) -> None:
        # What was not read to its end is not worth waiting for.
        self._response.release() if self._response.content.is_eof() else self._response.close()


def _timeout(phases: Mapping[str, float | None]) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(
        connect=phases.get("pool"), sock_connect=phases.get("connect"), sock_read=phases.get("read")
    )


@contextmanager
def _errors_of_httpx() -> Iterator[None]:
    try:
        yield
    except UnicodeError:
        raise httpx.UnsupportedProtocol("the host is no name that can be looked up") from None
    except (aiohttp.ClientError, OSError) as error:
        # Without its cause: aiohttp's errors hold the headers of the request, and with them its token.
        raise _translated(error) from None


def _translated(error: aiohttp.ClientError | OSError) -> httpx.RequestError:
    match error:
        case aiohttp.ConnectionTimeoutError():
            return httpx.ConnectTimeout("no connection in time")
        case aiohttp.ClientConnectorError():
            return httpx.ConnectError(str(error.os_error))
        case aiohttp.ServerTimeoutError():
            return httpx.ReadTimeout("no answer in time")
        case aiohttp.InvalidURL():
            return httpx.UnsupportedProtocol("not a URL for HTTP")
        case aiohttp.ClientResponseError() | aiohttp.ClientPayloadError() | aiohttp.ServerDisconnectedError():
            return httpx.RemoteProtocolError("the answer is not HTTP, or not whole")
        case OSError():
            return httpx.ReadError(error.strerror or type(error).__name__)
        case _:
            return httpx.NetworkError(type(error).__name__)
