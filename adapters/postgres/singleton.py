"""Work that one process at a time does, wherever it runs."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from random import random

from adapters.postgres.address import PostgresAddress
from adapters.postgres.reasons import reason
from adapters.postgres.sessions import SESSION_OVER, Session, SessionLimits, lock_key, next_notification, open_session

log = logging.getLogger(__name__)

_DEFAULT_LIMITS = SessionLimits()


class _LockLost(Exception):
    """The session that held the lock is over, and with it the lock."""


class Singleton:
    """Lets work go on only while a session of this process holds the advisory lock called ``name``.

    The lock keeps two from doing the same work at the same time. It does not keep somebody from writing who has lost it
    and does not know yet: positions that are compared and set do.
    """

    def __init__(self, address: PostgresAddress, name: str, *, limits: SessionLimits = _DEFAULT_LIMITS) -> None:
        self._address = address
        self._name = name
        self._key = lock_key(name)
        self._limits = limits

    async def run(self, work: Callable[[], Awaitable[None]], stop: asyncio.Event) -> None:
        """Wait for the lock, then await ``work()``; after the lock was lost, from the beginning.

        Returns when ``work()`` does, or when ``stop`` is set while others have the lock. Raises what ``work()`` raises.
        """
        attempt = 0
        while not stop.is_set():
            try:
                async with self._held(stop) as session:
                    attempt = 0
                    if session is not None:
                        log.info("%s runs here", self._name, extra={"action": "singleton-gained"})
                        await self._work_while_held(session, work)
                    return
            except _LockLost as error:
                attempt += 1
                delay = self._limits.reconnect.delay(attempt, random())  # noqa: S311 - spreads load, guards nothing
                extra = {"action": "singleton-lost"}
                log.warning("%s may run elsewhere; asking again in %.1f s: %s", self._name, delay, error, extra=extra)
                await _pause(delay, stop)

    @asynccontextmanager
    async def _held(self, stop: asyncio.Event) -> AsyncIterator[Session | None]:
        """Give the session that has the lock, or none if ``stop`` was set before. Raises :class:`_LockLost`."""
        async with AsyncExitStack() as stack:
            with _losing_the_lock():
                session = await stack.enter_async_context(open_session(self._address))
                is_acquired = await self._is_acquired(session, stop)
            yield session if is_acquired else None

    async def _is_acquired(self, session: Session, stop: asyncio.Event) -> bool:
        """Ask for the lock until it is there; waiting for it in the server would hold up the removal of old rows."""
        while not stop.is_set():
            cursor = await session.execute("SELECT pg_try_advisory_lock(%s)", [self._key])
            if await cursor.fetchone() == (True,):
                return True
            await _pause(self._limits.takeover_seconds, stop)
        return False

    async def _work_while_held(self, session: Session, work: Callable[[], Awaitable[None]]) -> None:
        working, watching = asyncio.ensure_future(work()), asyncio.ensure_future(self._watch(session))
        try:
            await asyncio.wait([working, watching], return_when=asyncio.FIRST_COMPLETED)
        finally:
            is_done = working.done()
            for task in (working, watching):
                task.cancel()
            await asyncio.wait([working, watching])
        # What work raised while it was cancelled is raised as well; that it was cancelled means that the lock is lost.
        if is_done or not working.cancelled():
            return working.result()
        return watching.result()

    async def _watch(self, session: Session) -> None:
        with _losing_the_lock():
            while True:
                await next_notification(session, self._limits)


@contextmanager
def _losing_the_lock() -> Iterator[None]:
    try:
        yield
    except SESSION_OVER as error:
        raise _LockLost(reason(error)) from error


async def _pause(seconds: float, stop: asyncio.Event) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()
