"""Calls to proxies: their results, their deadline and how many at a time."""

import asyncio
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.failures import FailureKind
from handlers.app_proxy_errors import (
    ProxyTargetInvalid,
    ProxyTimedOut,
    SlotWaitExceeded,
)
from handlers.proxy_calls import ProxyCallLimits, ProxyCalls
from tests.proxy_call_support import (
    BROKEN,
    BUSY,
    FAILED,
    REJECTED,
    Clock,
    Held,
    bad,
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


# --- results and errors --------------------------------------------------------------------------------------------


async def test_a_call_gives_what_it_gives(calls: ProxyCalls) -> None:
    assert await run(calls, good) == "done"


@pytest.mark.parametrize("error", [BROKEN, BUSY, REJECTED, ValueError("?"), TimeoutError("the call's own")])
async def test_a_calls_exception_passes_unchanged(calls: ProxyCalls, error: Exception) -> None:
    with pytest.raises(type(error)) as caught:
        await run(calls, bad(error))

    assert caught.value is error


async def test_a_call_over_its_deadline_is_cancelled_and_unknown(calls: ProxyCalls) -> None:
    call = Held()

    with pytest.raises(ProxyTimedOut, match=r"http://proxy:8080: not done within 0\.01 s") as caught:
        await run(calls, call, timeout_seconds=0.01)

    assert caught.value.kind is FailureKind.UNKNOWN
    assert target(calls).in_flight == 0


async def test_an_unusable_address_is_refused(calls: ProxyCalls) -> None:
    with pytest.raises(ProxyTargetInvalid):
        await calls.run("ftp://proxy", never, timeout_seconds=1)


# --- the limit -----------------------------------------------------------------------------------------------------


async def test_no_more_than_two_calls_to_one_proxy_are_under_way(calls: ProxyCalls) -> None:
    held = [Held() for _ in range(5)]
    tasks = [asyncio.create_task(run(calls, call)) for call in held]
    await held[1].begun.wait()

    assert [call.begun.is_set() for call in held] == [True, True, False, False, False]
    assert (target(calls).in_flight, target(calls).waiting) == (2, 3)

    for call in held:
        call.may_end.set()
    assert await asyncio.gather(*tasks) == ["done"] * 5


async def test_each_proxy_has_its_own_limit_whatever_the_spelling(calls: ProxyCalls) -> None:
    held = [Held() for _ in range(4)]
    spellings = ["proxy:8080", "http://proxy:8080/", "other:8080", "HTTP://other:8080"]
    tasks = [
        asyncio.create_task(calls.run(address, call, timeout_seconds=60))
        for address, call in zip(spellings, held, strict=True)
    ]
    for call in held:
        await call.begun.wait()

    assert {(shown.address, shown.in_flight) for shown in calls.snapshot()} == {
        ("http://proxy:8080", 2),
        ("http://other:8080", 2),
    }

    for call in held:
        call.may_end.set()
    await asyncio.gather(*tasks)


async def test_a_turn_that_does_not_come_in_time_is_transient() -> None:
    calls = ProxyCalls(ProxyCallLimits(concurrency=1, slot_wait_seconds=0.01))
    held = Held()
    task = asyncio.create_task(run(calls, held))
    await held.begun.wait()

    with pytest.raises(SlotWaitExceeded, match=r"was not sent: no slot within 0\.01 s") as caught:
        await run(calls, never)

    assert caught.value.kind is FailureKind.TRANSIENT
    assert target(calls).consecutive_failures == 0, "a wait says nothing about the proxy"
    held.may_end.set()
    await task


async def test_a_queue_that_is_full_is_transient() -> None:
    calls = ProxyCalls(ProxyCallLimits(concurrency=1, max_waiting=1))
    held = Held()
    tasks = [asyncio.create_task(run(calls, held)) for _ in range(2)]
    await held.begun.wait()

    with pytest.raises(SlotWaitExceeded, match="1 calls are waiting already"):
        await run(calls, never)

    held.may_end.set()
    await asyncio.gather(*tasks)


@pytest.mark.parametrize("error", [BROKEN, BUSY, FAILED, ValueError("?")])
async def test_a_failure_lowers_the_limit_and_good_calls_raise_it_again(calls: ProxyCalls, error: Exception) -> None:
    await fail(calls, 1, error)
    assert target(calls).limit == 1

    await run(calls, good)
    assert target(calls).limit == 2


async def test_a_timeout_lowers_the_limit(calls: ProxyCalls) -> None:
    with pytest.raises(ProxyTimedOut):
        await run(calls, Held(), timeout_seconds=0.01)

    assert target(calls).limit == 1


async def test_a_slow_success_lowers_the_limit(calls: ProxyCalls, clock: Clock) -> None:
    async def slow() -> str:
        clock.now += 1.1
        return "done"

    await run(calls, slow)

    assert target(calls).limit == 1
    assert target(calls).consecutive_failures == 0


async def test_a_permanent_failure_does_not_lower_the_limit(calls: ProxyCalls) -> None:
    await fail(calls, 1, REJECTED)

    assert target(calls).limit == 2


# --- cancellation, settings, everything together -------------------------------------------------------------------


async def test_a_cancelled_call_gives_its_slot_back_and_counts_neither_way(calls: ProxyCalls) -> None:
    await fail(calls, 2)
    held = Held()
    task = asyncio.create_task(run(calls, held))
    await held.begun.wait()

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert target(calls).in_flight == 0
    assert target(calls).consecutive_failures == 2


@pytest.mark.parametrize(
    "wrong",
    [{"concurrency": 0}, {"decrease_factor": 1.0}, {"open_seconds": 0}, {"slot_wait_seconds": float("inf")}, {"x": 1}],
)
def test_limits_that_make_no_sense_are_refused_by_name(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        ProxyCallLimits.model_validate(wrong)


def test_the_longest_time_of_a_call_includes_its_wait() -> None:
    assert ProxyCallLimits(slot_wait_seconds=30).ends_within(20) == 50


@given(
    concurrency=st.integers(1, 4),
    plan=st.lists(st.sampled_from(["good", "broken", "rejected", "cancelled", "slow"]), min_size=1, max_size=40),
)
@settings(deadline=None)
def test_the_limit_holds_and_nothing_leaks_whatever_the_calls_do(concurrency: int, plan: list[str]) -> None:
    """Never are more calls under way than allowed, and afterwards the proxy is idle and callable again."""

    async def scenario() -> None:
        clock = Clock()
        calls = ProxyCalls(ProxyCallLimits(concurrency=concurrency, failure_threshold=3), monotonic=clock)
        under_way = 0

        async def call(outcome: str) -> str:
            nonlocal under_way
            under_way += 1
            assert under_way <= concurrency
            try:
                await asyncio.sleep(0)
                clock.now += 2 if outcome == "slow" else 0
                if outcome in {"broken", "rejected"}:
                    raise BROKEN if outcome == "broken" else REJECTED
                return outcome
            finally:
                under_way -= 1

        tasks = [asyncio.create_task(run(calls, partial(call, outcome))) for outcome in plan]
        for turn, task in enumerate(tasks):
            if plan[turn] == "cancelled":
                task.cancel()
            if turn % 3 == 0:
                await asyncio.sleep(0)
        results = await asyncio.gather(*tasks, return_exceptions=True)

        assert not any(isinstance(result, AssertionError) for result in results)
        for shown in calls.snapshot():
            assert (shown.in_flight, shown.waiting) == (0, 0)
        clock.now += 15
        assert await run(calls, good) == "done"

    asyncio.run(scenario())
