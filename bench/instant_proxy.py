"""An app proxy on a socket of this process that answers every call at once, and keeps nothing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from bench.load import RESOURCE_GROUP

_BODY = b'{"success": true, "endpoint": "http://127.0.0.1:10240/", "health_check_enabled": true}'
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(_BODY), _BODY)
_LENGTH = b"content-length:"


@asynccontextmanager
async def instant_proxy() -> AsyncIterator[str]:
    """Serve for the length of the block; gives the address."""
    server = await asyncio.start_server(_serve, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        yield f"{host}:{port}"


def targets_file(folder: Path, address: str) -> Path:
    """A file that names the proxy for the deployments of these measurements."""
    file = folder / "targets.yaml"
    file.write_text(f"{RESOURCE_GROUP}:\n  address: {address}\n  token: {{value: instant}}\n")
    return file


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            lengths = [line[len(_LENGTH) :] for line in head.lower().split(b"\r\n") if line.startswith(_LENGTH)]
            await reader.readexactly(int(lengths[0]) if lengths else 0)
            writer.write(_ANSWER)
            await writer.drain()
    writer.close()
