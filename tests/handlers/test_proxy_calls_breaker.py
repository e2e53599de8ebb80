"""When calls to a failing proxy are not sent, and when they are again."""

import asyncio
import logging

import pytest

from domain.failures import FailureKind
from handlers.app_proxy_errors import (
    CircuitOpen,
    ConnectionBroken,
    ProxyTargetInvalid,
)
from handlers.circuit_breaker import BreakerState
from handlers.proxy_calls import ProxyCallLimits, ProxyCalls
from tests.proxy_call_support import (
    BROKEN,
    BUSY,
    FAILED,
    REJECTED,
    Clock,
    Held,
    fail,
    good,
    never,
    run,
    target,
)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def calls(clock: Clock) -> ProxyCalls:
    return ProxyCalls(ProxyCallLimits(failure_threshold=3, open_seconds=15), monotonic=clock)


async def test_failures_in_a_row_open_the_circuit_and_calls_are_not_sent(
    calls: ProxyCalls, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await fail(calls, 3)
    clock.now += 5

    with pytest.raises(CircuitOpen, match=r"not sent: 3 failures in a row, next try in 10\.0 s") as caught:
        await run(calls, never)

    assert caught.value.kind is FailureKind.TRANSIENT
    assert caught.value.retry_after == 10
    assert target(calls).breaker is BreakerState.OPEN
    assert caplog.messages == ["calls to proxy http://proxy:8080: circuit open, was closed"]


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (BROKEN, BreakerState.OPEN),
        (BUSY, BreakerState.OPEN),
        (FAILED, BreakerState.OPEN),
        (ValueError("?"), BreakerState.OPEN),
        (REJECTED, BreakerState.CLOSED),
        (ProxyTargetInvalid("no token"), BreakerState.CLOSED),
    ],
)
async def test_only_failures_of_the_proxy_count(calls: ProxyCalls, error: Exception, state: BreakerState) -> None:
    await fail(calls, 3, error)

    assert target(calls).breaker is state


async def test_a_rejected_call_shows_that_the_proxy_works(calls: ProxyCalls) -> None:
    await fail(calls, 2)
    await fail(calls, 1, REJECTED)
    await fail(calls, 2)

    assert target(calls).breaker is BreakerState.CLOSED


async def test_a_call_that_cannot_be_made_says_nothing_about_the_proxy(calls: ProxyCalls) -> None:
    await fail(calls, 2)
    await fail(calls, 1, ProxyTargetInvalid("no token"))
    await fail(calls, 1)

    assert target(calls).breaker is BreakerState.OPEN


async def test_when_the_time_is_over_one_call_probes_and_the_others_are_not_sent(
    calls: ProxyCalls, clock: Clock
) -> None:
    await fail(calls, 3)
    clock.now += 15
    probe = Held()
    task = asyncio.create_task(run(calls, probe))
    await probe.begun.wait()

    with pytest.raises(CircuitOpen):
        await run(calls, never)

    probe.may_end.set()
    await task
    assert target(calls).breaker is BreakerState.CLOSED
    assert await run(calls, good) == "done"


async def test_a_cancelled_probe_lets_the_next_call_probe(calls: ProxyCalls, clock: Clock) -> None:
    await fail(calls, 3)
    clock.now += 15
    probe = Held()
    task = asyncio.create_task(run(calls, probe))
    await probe.begun.wait()

    task.cancel()
    await asyncio.wait([task])

    assert await run(calls, good) == "done"


async def test_a_call_that_waited_while_the_circuit_opened_is_not_sent(calls: ProxyCalls) -> None:
    await fail(calls, 2)  # which leaves a limit of one
    gate = asyncio.Event()

    async def fails_later() -> str:
        await gate.wait()
        raise BROKEN

    first = asyncio.create_task(run(calls, fails_later))
    waiting = asyncio.create_task(run(calls, never))
    await asyncio.sleep(0)
    gate.set()

    with pytest.raises(ConnectionBroken):
        await first
    with pytest.raises(CircuitOpen):
        await waiting
    assert (target(calls).in_flight, target(calls).waiting) == (0, 0)


async def test_one_proxys_circuit_does_not_concern_another(calls: ProxyCalls) -> None:
    await fail(calls, 3)

    assert await calls.run("other:8080", good, timeout_seconds=60) == "done"
