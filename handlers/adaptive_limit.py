"""A limit on concurrent calls that gives way when the peer is overloaded and recovers when it is not."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

_LOWEST_LIMIT = 1.0


class WaitRefused(Exception):
    """No slot: the queue is full, or the wait took too long."""


class AdaptiveLimit:
    """Slots for concurrent calls, given in the order in which they were asked for.

    The limit moves between 1 and ``highest`` (count) by additive increase and multiplicative decrease: it grows by one
    for each limit's worth of good calls, and is multiplied by ``decrease_factor`` (ratio, below 1) on overload. Calls
    that were under way together report the same overload, so only the first of them lowers the limit.

    Args:
        highest: Most calls at a time (count); the limit starts here.
        decrease_factor: What overload multiplies the limit by (ratio).
        max_waiting: Most callers in the queue (count).
    """

    def __init__(self, highest: int, *, decrease_factor: float, max_waiting: int) -> None:
        self._highest = float(highest)
        self._decrease_factor = decrease_factor
        self._max_waiting = max_waiting
        self._limit = self._highest
        self._in_flight = 0
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._round = 0

    @property
    def limit(self) -> int:
        """How many calls may be under way at this moment (count)."""
        return int(self._limit)

    @property
    def in_flight(self) -> int:
        """How many slots are taken (count)."""
        return self._in_flight

    @property
    def waiting(self) -> int:
        """How many callers are in the queue (count)."""
        return len(self._waiters)

    @property
    def round(self) -> int:
        """The number of times that the limit was lowered; a call notes it when it begins."""
        return self._round

    def went_well(self) -> None:
        """Report a good call: the limit may grow."""
        self._limit = min(self._highest, self._limit + 1 / self._limit)
        self._hand_out()

    def overloaded(self, begun_in_round: int) -> None:
        """Report a call that showed overload, with the :attr:`round` that it began in."""
        if begun_in_round == self._round:
            self._limit = max(_LOWEST_LIMIT, self._limit * self._decrease_factor)
            self._round += 1

    @asynccontextmanager
    async def slot(self, max_wait_seconds: float) -> AsyncIterator[None]:
        """Hold one slot for the length of the block.

        Raises:
            WaitRefused: ``max_waiting`` callers wait already, or no slot became free within ``max_wait_seconds``.
        """
        if self._waiters or self._in_flight >= self.limit:
            await self._wait(max_wait_seconds)
        else:
            self._in_flight += 1
        try:
            yield
        finally:
            self._give_back()

    async def _wait(self, max_wait_seconds: float) -> None:
        if len(self._waiters) >= self._max_waiting:
            raise WaitRefused(f"{len(self._waiters)} calls are waiting already")
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(turn)
        try:
            async with asyncio.timeout(max_wait_seconds):
                await turn
        except TimeoutError:
            self._leave(turn)
            raise WaitRefused(f"no slot within {max_wait_seconds:g} s") from None
        except asyncio.CancelledError:
            self._leave(turn)
            raise

    def _leave(self, turn: asyncio.Future[None]) -> None:
        if turn.done() and not turn.cancelled():
            self._give_back()  # the slot was handed over in the moment of giving up
        elif turn in self._waiters:
            self._waiters.remove(turn)

    def _give_back(self) -> None:
        self._in_flight -= 1
        self._hand_out()

    def _hand_out(self) -> None:
        while self._waiters and self._in_flight < self.limit:
            turn = self._waiters.popleft()
            if not turn.done():
                self._in_flight += 1
                turn.set_result(None)
