"""Reference part: the reference proxy on a socket, inside this process or as one of its own.

Inside: ``async with ReferenceProxy(token="…") as proxy: proxy.address``. As a process::

    REFERENCE_PROXY_TOKEN=… python -m service.demo.reference_proxy --port 9100 --state circuits.json

which prints its address on one line once it accepts calls. What it answers is in
:mod:`service.demo.reference_proxy_app`. It guards nothing and routes no traffic: it serves demonstration and tests.
"""

import asyncio
import signal
import socket
from pathlib import Path
from types import TracebackType
from typing import Annotated, Self

import typer
from pydantic import SecretStr

from service.demo.reference_proxy_app import ProxyRelease, ReferenceProxyApp
from service.demo.reference_proxy_calls import CallCounter
from service.demo.reference_proxy_circuits import CircuitTable
from service.demo.reference_proxy_faults import FaultBoard
from service.demo.reference_proxy_server import AbruptServer

#: The ports that circuits are given, as in the real proxy's sample configuration.
DEFAULT_PORTS = range(10240, 30000)


class ReferenceProxy:
    """A reference proxy that accepts calls between :meth:`start` and :meth:`stop`, as often as wanted.

    A stop is abrupt, like a kill: calls under way are cut off. The circuits outlast it, and so does the port.

    Args:
        token: What callers have to send.
        host: Where to listen.
        port: Where to listen; 0 takes a free port at the first start.
        advertised_host: The host in endpoint URLs; ``None`` for ``host``.
        state_file: Where circuits are kept beyond this process; ``None`` for nowhere.
        ports: The ports that circuits are given.
        release: Which release of the real proxy it answers as.
    """

    def __init__(
        self,
        token: SecretStr | str,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        advertised_host: str | None = None,
        state_file: Path | None = None,
        ports: range = DEFAULT_PORTS,
        release: ProxyRelease = ProxyRelease.SINGLE,
    ) -> None:
        self._host = host
        self._port = port
        self._advertised_host = advertised_host or host
        self._app = ReferenceProxyApp(
            token if isinstance(token, SecretStr) else SecretStr(token),
            CircuitTable(host=self._advertised_host, ports=ports, state_file=state_file),
            self._reset_connection,
            release,
        )
        self._server: AbruptServer | None = None
        self._serving: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def address(self) -> str:
        """The URL to call."""
        return f"http://{self._advertised_host}:{self._port}"

    @property
    def circuits(self) -> CircuitTable:
        """The endpoints that the proxy holds."""
        return self._app.circuits

    @property
    def faults(self) -> FaultBoard:
        """What goes wrong."""
        return self._app.faults

    @property
    def calls(self) -> CallCounter:
        """How often the proxy was called."""
        return self._app.calls

    async def start(self) -> None:
        """Listen; calls are accepted when this returns.

        Raises:
            OSError: The port cannot be listened on.
        """
        listener = _listener(self._host, self._port)
        self._port = listener.getsockname()[1]
        self._server = AbruptServer(self._app.asgi)
        self._serving = asyncio.create_task(self._server.serve([listener]), name="reference-proxy")
        await self._server.listening.wait()

    async def stop(self) -> None:
        """Cut off all calls and stop listening; does nothing if not started."""
        if self._server is not None and self._serving is not None:
            self._server.stop_wanted.set()
            await self._serving
            self._server = self._serving = None

    def _reset_connection(self, client: tuple[str, int]) -> None:
        if self._server is not None:
            self._server.reset_connection(client)


def _listener(host: str, port: int) -> socket.socket:
    """Listen. The protocol is named because asyncio switches Nagle's algorithm off only where it is (40 ms a call)."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(512)
    except OSError:
        listener.close()
        raise
    return listener


async def _serve_until_signalled(proxy: ReferenceProxy) -> None:
    stop_wanted = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop_wanted.set)
    async with proxy:
        typer.echo(proxy.address)
        await stop_wanted.wait()


def main(
    *,
    port: Annotated[int, typer.Option(help="Where to listen; 0 takes a free port.")] = 0,
    host: Annotated[str, typer.Option(help="Where to listen.")] = "127.0.0.1",
    advertised_host: Annotated[
        str | None, typer.Option(help="The host in endpoint URLs, where it is not --host.", show_default=False)
    ] = None,
    token_file: Annotated[Path | None, typer.Option(help="A file that holds the token.")] = None,
    token: Annotated[
        str | None, typer.Option(envvar="REFERENCE_PROXY_TOKEN", help="The token; better given by file or environment.")
    ] = None,
    state: Annotated[Path | None, typer.Option(help="A JSON file to keep the endpoints in.")] = None,
    release: Annotated[
        ProxyRelease, typer.Option(help="Answer as releases that take one endpoint a create, or lists of them.")
    ] = ProxyRelease.SINGLE,
) -> None:
    """Answer like an AppProxy until SIGINT or SIGTERM, for demonstration and tests."""
    secret = token_file.read_text().strip() if token_file is not None else token
    if not secret:
        raise typer.BadParameter("give --token-file, or set REFERENCE_PROXY_TOKEN")
    proxy = ReferenceProxy(
        secret, host=host, port=port, advertised_host=advertised_host, state_file=state, release=release
    )
    asyncio.run(_serve_until_signalled(proxy))


if __name__ == "__main__":
    typer.run(main)
