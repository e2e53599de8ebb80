"""What follows the log, the views and the publisher: tried again after what may pass, halted by what does not."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from aiokafka.errors import KafkaError
from sqlalchemy.exc import InterfaceError, OperationalError

from handlers.backoff import Backoff
from handlers.ports import LogUnavailable, UnknownEventType
from service.stores import Stores
from service.supervision import keep_running

log = logging.getLogger(__name__)

#: How followers of the log come back after the database was away.
_BACKOFF = Backoff(base=0.2, cap=10.0)

_PASSING = (LogUnavailable, OperationalError, InterfaceError, KafkaError)

#: Follows until the first event is set; the second one says that there is something new.
Follow = Callable[[asyncio.Event, asyncio.Event], Awaitable[None]]


class Follower:
    """Follows the log in one process at a time, as ``name``.

    An event of an unknown type halts it for the life of this process, and lets another process take over, which may be
    of a later version. ``halted`` says why, ``trouble`` what else keeps it from following at the moment.
    """

    def __init__(self, name: str, follow: Follow, stores: Stores) -> None:
        self.name = name
        self.halted: str | None = None
        self.halted_at: datetime | None = None
        self.trouble: str | None = None
        self._follow = follow
        self._stores = stores

    async def run(self, stop: asyncio.Event, wake: asyncio.Event) -> None:
        """Follow until ``stop`` is set; raises what neither passes nor is an unknown event."""

        async def alone() -> None:
            await self._follow(stop, wake)

        async def follow() -> None:
            # Who stands by, while somebody else follows, has nothing to complain of.
            self.trouble = None
            try:
                await self._stores.run_alone(self.name, alone, stop)
            except _PASSING as error:
                self.trouble = f"stopped at {datetime.now(UTC):%H:%M:%S}, tried again ({error})"
                raise

        try:
            await keep_running(self.name, follow, stop=stop, passing=_PASSING, backoff=_BACKOFF)
        except UnknownEventType as error:
            self.halted, self.halted_at = str(error), datetime.now(UTC)
            log.critical("%s halted: %s", self.name, error, extra={"action": "follower-halted"})
            await stop.wait()
