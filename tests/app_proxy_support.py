"""What tests of the app proxy's client and its reference share: request bodies, a server that says anything."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import UUID

import pytest

Answer = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


def create_body(
    endpoint_id: UUID,
    *,
    name: str = "svc-one",
    health_check: dict[str, Any] | None = None,
    existing_url: str | None = None,
) -> dict[str, Any]:
    """Make the body of a create as Routekeeper sends it."""
    session = {"user_uuid": str(UUID(int=1)), "group_id": str(UUID(int=2)), "domain_name": "default"}
    endpoint = {"id": str(endpoint_id), "runtime_variant": "custom", "existing_url": existing_url}
    return {
        "version": "v2",
        "service_name": name,
        "tags": {"session": session, "endpoint": endpoint},
        "apps": {},
        "open_to_public": False,
        "health_check": health_check,
    }


async def error_of(call: Awaitable[object]) -> Exception:
    """Give the exception that the call raises."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the caller looks at what it is
        await call
    return caught.value


HEALTH_CHECK = {
    "interval": 10.0,
    "path": "/health",
    "max_retries": 10,
    "max_wait_time": 15.0,
    "expected_status_code": 200,
    "initial_delay": 60.0,
}


@asynccontextmanager
async def server_answering(answer: Answer) -> AsyncIterator[str]:
    """Serve on a socket; ``answer`` gets each request's bytes and writes what it likes. Gives the address."""
    tasks: set[asyncio.Task[None]] = set()
    writers: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            try:
                await answer(await _request(reader), writer)
            finally:
                writer.close()
                await writer.wait_closed()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not server.is_serving():
            writer.transport.abort()
            return
        writers.add(writer)
        tasks.add(asyncio.create_task(serve(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    try:
        yield f"{host}:{port}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        # A task cancelled before its first step has closed nothing, and what was not read yet keeps a connection open.
        for writer in writers:
            writer.transport.abort()


async def _request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    lengths = [line[15:] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return head + await reader.readexactly(int(lengths[0]) if lengths else 0)


def says(raw: bytes) -> Answer:
    """Answer every request with these bytes and close the connection."""

    async def answer(_request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        await writer.drain()

    return answer


def response(status: str, body: bytes, *headers: str) -> bytes:
    """Make the bytes of a whole response."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def resets(_request: bytes, writer: asyncio.StreamWriter) -> None:
    """Reset the connection instead of answering."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def never_answers(_request: bytes, _writer: asyncio.StreamWriter) -> None:
    """Hold the connection open and say nothing."""
    await asyncio.Event().wait()


async def trickles(_request: bytes, writer: asyncio.StreamWriter) -> None:
    """Send an answer without end, a byte now and then."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        writer.write(b" ")
        await asyncio.sleep(0.01)
