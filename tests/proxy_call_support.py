"""What the tests of the policy for proxy calls share: a clock, calls of all kinds, and a look at the only target."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest

from handlers.app_proxy_errors import (
    ConnectionBroken,
    ProxyBusy,
    ProxyFailed,
    RequestRejected,
)
from handlers.proxy_calls import ProxyCalls, ProxyTargetSnapshot

PROXY = "proxy:8080"
BROKEN = ConnectionBroken("broken")
BUSY = ProxyBusy("busy", status_code=503)
FAILED = ProxyFailed("failed", status_code=500)
REJECTED = RequestRejected("rejected", status_code=400)


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


def target(calls: ProxyCalls) -> ProxyTargetSnapshot:
    """Show the only proxy that was called."""
    [only] = calls.snapshot()
    return only


async def run(calls: ProxyCalls, call: Callable[[], Awaitable[str]], *, timeout_seconds: float = 60) -> str:
    return await calls.run(PROXY, call, timeout_seconds=timeout_seconds)


async def good() -> str:
    return "done"


def bad(error: BaseException) -> Callable[[], Awaitable[str]]:
    async def call() -> str:
        raise error

    return call


class Held:
    """A call that says when it begins and ends when told to."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.may_end = asyncio.Event()

    async def __call__(self) -> str:
        self.begun.set()
        await self.may_end.wait()
        return "done"


async def fail(calls: ProxyCalls, times: int, error: Exception = BROKEN) -> None:
    for _ in range(times):
        with pytest.raises(type(error)):
            await run(calls, bad(error))


async def never() -> str:
    return pytest.fail("this call must not be made")
