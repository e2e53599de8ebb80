"""Reference part: an HTTP server that can be started, killed and started again inside one process."""

import asyncio
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

#: Makes closing a socket send RST instead of FIN.
_NO_LINGER = struct.pack("ii", 1, 0)

_KEEP_ALIVE_SECONDS = 75


class AbruptServer(uvicorn.Server):
    """A uvicorn server that leaves signals alone and stops at once, cutting off calls under way."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(
            uvicorn.Config(
                _cut_off_quietly(app),
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            )
        )
        self.listening = asyncio.Event()
        self.stop_wanted = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def main_loop(self) -> None:
        await self.on_tick(0)
        self.listening.set()
        await self.stop_wanted.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        for connection in self._connections():
            connection.transport.abort()
        await asyncio.sleep(0)  # lets the connections learn that they are lost: nothing more is sent on them
        tasks = list(self.server_state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def reset_connection(self, client: tuple[str, int]) -> None:
        """Reset (RST) the connection from this host and port, if there is one."""
        for connection in self._connections():
            if connection.client == client:
                raw = connection.transport.get_extra_info("socket")
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
                connection.transport.abort()

    def _connections(self) -> list[H11Protocol]:
        return [c for c in self.server_state.connections if isinstance(c, H11Protocol)]


def _cut_off_quietly(app: ASGIApp) -> ASGIApp:
    """Keep a call that is cut off by a stop from being logged as a failure of the application."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        with suppress(asyncio.CancelledError):
            await app(scope, receive, send)

    return wrapped
