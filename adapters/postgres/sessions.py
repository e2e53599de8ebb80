"""Sessions that last: connections that listen, or hold a lock, for as long as they live.

They must be direct: behind a proxy that pools transactions, what a session holds belongs to nobody in particular.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Annotated, Final

from psycopg import AsyncConnection, InterfaceError, OperationalError
from psycopg.rows import TupleRow
from pydantic import Field

from adapters.postgres.address import PostgresAddress
from handlers.backoff import Backoff

_Seconds = Annotated[float, Field(ge=0.001, le=3600)]

Session = AsyncConnection[TupleRow]

#: What a session raises that is over.
SESSION_OVER: Final = (OperationalError, InterfaceError)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionLimits:
    """How lasting sessions are kept; times in seconds.

    ``heartbeat_seconds``: how often a quiet session is asked whether it is still there, and how long it may take to
    answer. ``takeover_seconds``: how often those who wait for a lock ask for it. ``reconnect``: how soon a session that
    was lost is opened again.
    """

    heartbeat_seconds: _Seconds = 5.0
    takeover_seconds: _Seconds = 1.0
    reconnect: Backoff = field(default_factory=lambda: Backoff(base=0.1, cap=5.0))


def lock_key(name: str) -> int:
    """The number of the advisory lock of sessions that is called ``name``."""
    return int.from_bytes(sha256(f"routekeeper singleton {name}".encode()).digest()[:8], signed=True)


@asynccontextmanager
async def open_session(address: PostgresAddress) -> AsyncIterator[Session]:
    """Open a session that commits every statement by itself. Raises one of :data:`SESSION_OVER`."""
    session = await AsyncConnection.connect(address.conninfo(), autocommit=True)
    try:
        yield session
    finally:
        # Without a word to the server, which may not be there: it ends what the session held by itself.
        await session.close()


async def next_notification(session: Session, limits: SessionLimits) -> bool:
    """Wait for a notification, and after a quiet time see whether the session is still there.

    Tells whether there was one. Raises one of :data:`SESSION_OVER` as soon as it is seen that the session is over.
    """
    async for _ in session.notifies(timeout=limits.heartbeat_seconds, stop_after=1):
        return True
    beat = asyncio.ensure_future(session.execute("SELECT 1"))
    await asyncio.wait([beat], timeout=limits.heartbeat_seconds)
    if not beat.done():
        _cut(session)
    await beat
    return False


def _cut(session: Session) -> None:
    """End the waiting for a server that is silent; merely to give up would mean to wait for it a second time."""
    with socket.socket(fileno=os.dup(session.fileno())) as wire, suppress(OSError):
        wire.shutdown(socket.SHUT_RDWR)
