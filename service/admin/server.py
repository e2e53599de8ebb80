"""The admin port: an HTTP server beside the worker's work."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.types import ASGIApp

from domain.errors import RoutekeeperError
from service.settings import AdminSettings

_KEEP_ALIVE_SECONDS = 5


class AdminPortUnusable(RoutekeeperError):
    """The admin port cannot be listened at."""


class _Server(uvicorn.Server):
    """A server that leaves signals to the worker."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serving(settings: AdminSettings, app: Callable[[], ASGIApp]) -> AsyncIterator[None]:
    """Serve ``app()`` at the admin port until the end of the block; nothing at all if the port is 0.

    Raises :class:`AdminPortUnusable`.
    """
    if not settings.port:
        yield
        return
    listener = _listen(settings)
    config = uvicorn.Config(
        app(),
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        limit_concurrency=settings.max_connections,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=1,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve([listener]), name="admin port")
    try:
        yield
    finally:
        server.should_exit = True
        await asyncio.wait([task])
        listener.close()


def _listen(settings: AdminSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family)
    except OSError as error:
        where = f"ROUTEKEEPER_ADMIN__HOST {settings.host}, ROUTEKEEPER_ADMIN__PORT {settings.port}"
        raise AdminPortUnusable(f"{where}: cannot listen there: {error.strerror or error}") from None
