"""Connections that are checked against certificates no longer in use are closed, but never under a call."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import pytest
import trustme

from adapters.app_proxy import AppProxyClientPool
from handlers.app_proxy import AppProxyClient
from tests.secured_kafka import Certificates


@dataclass
class Server:
    """Speaks https, answers when it may, and notices when its client hangs up."""

    certificates: Certificates
    url: str = ""
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.asked.set()
        await self.may_answer.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        await reader.read()
        self.left.set()
        writer.close()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        context = self.certificates.server_context(wants_client_certificates=False)
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=context)
        self.url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield
        server.close()


@pytest.mark.timeout(20)
@pytest.mark.parametrize("is_under_way", [True, False])
async def test_a_connection_with_certificates_no_longer_used_is_closed_after_its_call(
    tmp_path: Path, *, is_under_way: bool
) -> None:
    server, pool = Server(Certificates(trustme.CA(), tmp_path)), AppProxyClientPool()
    async with server.open():
        await pool.trust(pool.read_certificates({server.url: server.certificates.ca_file}))
        client = AppProxyClient(pool.load_client_session(), server.url, "token")
        call = asyncio.create_task(client.delete_endpoint(uuid4()))
        await server.asked.wait()
        if not is_under_way:
            server.may_answer.set()
            await call

        await pool.trust(pool.read_certificates({}))

        server.may_answer.set()
        await call
        await server.left.wait()
        await pool.close()


async def test_certificates_that_stay_keep_their_connections(tmp_path: Path) -> None:
    certificates, pool = Certificates(trustme.CA(), tmp_path), AppProxyClientPool()
    await pool.trust(pool.read_certificates({"https://a:1": certificates.ca_file}))

    before = pool.read_certificates({"https://b:1": certificates.ca_file})
    await pool.trust(before)

    assert list(pool.read_certificates({"https://b:1": certificates.ca_file}).by_certificates.values()) == list(
        before.by_certificates.values()
    )
    await pool.close()
