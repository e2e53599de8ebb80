"""An event loop whose time jumps to whatever comes next, so that hours pass in moments and always in the same way."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class NobodyWakes(RuntimeError):
    """Everybody waits and no timer is set: the simulation would stand still for ever."""


class _Jumping(selectors.SelectSelector):
    """Waits for no socket: passes the time that it was to wait."""

    elapsed = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise NobodyWakes
        self.elapsed += max(0.0, timeout)
        return []


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Its :meth:`time` begins at 0 and passes only while everybody waits."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.elapsed


def simulate(main: Coroutine[Any, Any, T]) -> T:
    """Run ``main`` to its end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)
