"""What all HTTP clients here have in common: no redirects, nothing from the environment, bounded answers."""

import ssl
from pathlib import Path

import httpx

from adapters.http_transport import AiohttpTransport


def new_client(*, ca_file: Path | None, max_connections: int, keepalive_seconds: float) -> httpx.AsyncClient:
    """Make a client that follows no redirects and takes no proxy or credentials from the environment.

    Servers are checked against the certificates (PEM) of ``ca_file``, without it against the well-known ones. Raises
    ``OSError`` if it cannot be read (:class:`ssl.SSLError`, a subclass, if it holds no certificate).
    """
    if ca_file is None:
        certificates = httpx.create_ssl_context(trust_env=False)
    else:
        certificates = ssl.create_default_context(cafile=str(ca_file))
    return httpx.AsyncClient(
        transport=AiohttpTransport(certificates, max_connections=max_connections, keepalive_seconds=keepalive_seconds),
        # A compressed answer could unpack to any size before a cap sees it.
        headers={"Accept-Encoding": "identity"},
        follow_redirects=False,
        trust_env=False,
    )


async def beginning_of(response: httpx.Response, most: int) -> tuple[bytes, bool]:
    """Read at most ``most`` bytes of a streamed answer; tells whether there are more."""
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > most:
            return bytes(body[:most]), True
    return bytes(body), False
