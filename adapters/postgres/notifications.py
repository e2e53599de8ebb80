"""Hearing at once that something was written, by whichever process, and being noticed oneself."""

import logging
from asyncio import sleep
from collections.abc import Awaitable, Callable
from random import random

from psycopg.sql import SQL, Identifier

from adapters.postgres.address import PostgresAddress
from adapters.postgres.reasons import reason
from adapters.postgres.sessions import SESSION_OVER, Session, SessionLimits, lock_key, next_notification, open_session
from handlers.ports import LogUnavailable

log = logging.getLogger(__name__)

_DEFAULT_LIMITS = SessionLimits()


class Notifications:
    """Listens on a channel of a database, and again after the connection was lost.

    The session that listens shares the advisory lock called ``shared_lock``: a
    :class:`~adapters.postgres.singleton.Singleton` of that name works only while nobody listens.

    A wake-up can still come late, or never where the server forgets: whoever is woken must also look by himself now
    and then.
    """

    def __init__(
        self, address: PostgresAddress, channel: str, *, shared_lock: str, limits: SessionLimits = _DEFAULT_LIMITS
    ) -> None:
        self._address = address
        self._channel = channel
        self._key = lock_key(shared_lock)
        self._limits = limits

    async def run(self, heard: Callable[[], None], joined: Callable[[], Awaitable[None]] | None = None) -> None:
        """Call ``heard`` after each notification, and whenever listening begins: there may have been some before.

        ``joined`` is awaited whenever the lock is shared, before anything is heard. Returns where somebody else has the
        lock alone; raises what ``joined`` raises, unless that is :class:`~handlers.ports.LogUnavailable`.
        """
        attempt = 0
        while True:
            try:
                async with open_session(self._address) as session:
                    if not await self._shares_lock(session):
                        return
                    if joined is not None:
                        await joined()
                    await session.execute(SQL("LISTEN {}").format(Identifier(self._channel)))
                    attempt = 0
                    heard()
                    while True:
                        if await next_notification(session, self._limits):
                            heard()
            except (*SESSION_OVER, LogUnavailable) as error:
                attempt += 1
                delay = self._limits.reconnect.delay(attempt, random())  # noqa: S311 - spreads load, guards nothing
                extra = {"action": "listen-again", "channel": self._channel}
                log.warning("Listening at %s again in %.1f s: %s", self._address, delay, reason(error), extra=extra)
                await sleep(delay)

    async def _shares_lock(self, session: Session) -> bool:
        cursor = await session.execute("SELECT pg_try_advisory_lock_shared(%s)", [self._key])
        return await cursor.fetchone() == (True,)
