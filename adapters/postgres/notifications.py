"""Hearing at once that something was written, by whichever process."""

import logging
from asyncio import sleep
from collections.abc import Callable
from random import random

from psycopg.sql import SQL, Identifier

from adapters.postgres.address import PostgresAddress
from adapters.postgres.reasons import reason
from adapters.postgres.sessions import SESSION_OVER, SessionLimits, next_notification, open_session

log = logging.getLogger(__name__)

_DEFAULT_LIMITS = SessionLimits()


class Notifications:
    """Listens on a channel of a database, and again after the connection was lost.

    A wake-up can still come late, or never where the server forgets: whoever is woken must also look by himself now
    and then.
    """

    def __init__(self, address: PostgresAddress, channel: str, *, limits: SessionLimits = _DEFAULT_LIMITS) -> None:
        self._address = address
        self._channel = channel
        self._limits = limits

    async def run(self, heard: Callable[[], None]) -> None:
        """Call ``heard`` after each notification, and whenever listening begins: there may have been some before."""
        attempt = 0
        while True:
            try:
                async with open_session(self._address) as session:
                    await session.execute(SQL("LISTEN {}").format(Identifier(self._channel)))
                    attempt = 0
                    heard()
                    while True:
                        if await next_notification(session, self._limits):
                            heard()
            except SESSION_OVER as error:
                attempt += 1
                delay = self._limits.reconnect.delay(attempt, random())  # noqa: S311 - spreads load, guards nothing
                extra = {"action": "listen-again", "channel": self._channel}
                log.warning("Listening at %s again in %.1f s: %s", self._address, delay, reason(error), extra=extra)
                await sleep(delay)
