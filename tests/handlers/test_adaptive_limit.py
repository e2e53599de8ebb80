import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handlers.adaptive_limit import AdaptiveLimit, WaitRefused

FOREVER = 60.0


def limit_of(highest: int, *, max_waiting: int = 100) -> AdaptiveLimit:
    return AdaptiveLimit(highest, decrease_factor=0.5, max_waiting=max_waiting)


class Caller:
    """A task that holds a slot from when it gets it until told to go."""

    def __init__(self, limit: AdaptiveLimit, order: list[int] | None = None, number: int = 0) -> None:
        self.got_slot = asyncio.Event()
        self.may_go = asyncio.Event()
        self._order = order
        self._number = number
        self.task = asyncio.create_task(self._run(limit))

    async def _run(self, limit: AdaptiveLimit) -> None:
        async with limit.slot(FOREVER):
            self.got_slot.set()
            if self._order is not None:
                self._order.append(self._number)
            await self.may_go.wait()

    async def leave(self) -> None:
        self.may_go.set()
        await self.task


@asynccontextmanager
async def callers(limit: AdaptiveLimit, count: int, order: list[int] | None = None) -> AsyncIterator[list[Caller]]:
    """Start callers one after the other and let each come as far as it gets."""
    started = []
    for number in range(count):
        started.append(Caller(limit, order, number))
        await asyncio.sleep(0)
    try:
        yield started
    finally:
        for caller in started:
            caller.task.cancel()
        await asyncio.gather(*(caller.task for caller in started), return_exceptions=True)


async def test_as_many_as_the_limit_get_a_slot_and_the_rest_wait() -> None:
    limit = limit_of(2)
    async with callers(limit, 5):
        assert (limit.in_flight, limit.waiting) == (2, 3)

    assert (limit.in_flight, limit.waiting) == (0, 0)


async def test_slots_are_given_in_the_order_of_asking() -> None:
    limit, order = limit_of(1), list[int]()
    async with callers(limit, 5, order) as started:
        for caller in started:
            await caller.got_slot.wait()
            await caller.leave()

    assert order == [0, 1, 2, 3, 4]


async def test_a_newcomer_does_not_overtake_those_who_wait() -> None:
    limit, order = limit_of(1), list[int]()
    async with callers(limit, 2, order) as started:
        started[0].may_go.set()
        newcomer = Caller(limit, order, 99)
        await started[1].leave()
        await newcomer.leave()

    assert order == [0, 1, 99]


async def test_a_cancelled_waiter_leaves_the_queue() -> None:
    limit = limit_of(1)
    async with callers(limit, 3) as started:
        started[1].task.cancel()
        await asyncio.wait([started[1].task])
        assert limit.waiting == 1

        await started[0].leave()
        await started[2].got_slot.wait()


async def test_a_waiter_cancelled_in_the_moment_of_its_turn_passes_the_slot_on() -> None:
    limit = limit_of(1)
    async with limit.slot(FOREVER):
        first, second = Caller(limit), Caller(limit)
        await asyncio.sleep(0)
    assert (limit.in_flight, first.got_slot.is_set()) == (1, False), "handed over, but the caller has not run since"

    first.task.cancel()

    await second.got_slot.wait()
    await second.leave()
    assert limit.in_flight == 0


async def test_a_full_queue_refuses_at_once() -> None:
    limit = limit_of(1, max_waiting=2)
    async with callers(limit, 3):
        with pytest.raises(WaitRefused, match="2 calls are waiting already"):
            async with limit.slot(FOREVER):
                pytest.fail("no slot was free")


async def test_a_wait_that_takes_too_long_is_refused_and_leaks_nothing() -> None:
    limit = limit_of(1)
    async with callers(limit, 1):
        with pytest.raises(WaitRefused, match=r"no slot within 0\.01 s"):
            async with limit.slot(0.01):
                pytest.fail("no slot was free")
        assert (limit.in_flight, limit.waiting) == (1, 0)

    async with limit.slot(FOREVER):
        assert limit.in_flight == 1


async def test_an_exception_inside_gives_the_slot_back() -> None:
    limit = limit_of(1)
    with pytest.raises(ZeroDivisionError):
        async with limit.slot(FOREVER):
            raise ZeroDivisionError

    assert limit.in_flight == 0


def test_overload_halves_the_limit_down_to_one() -> None:
    limit = limit_of(16)
    seen = []
    for _ in range(6):
        limit.overloaded(limit.round)
        seen.append(limit.limit)

    assert seen == [8, 4, 2, 1, 1, 1]


def test_calls_that_were_under_way_together_lower_the_limit_once() -> None:
    limit = limit_of(16)
    begun_in = limit.round
    for _ in range(16):
        limit.overloaded(begun_in)

    assert limit.limit == 8


def test_good_calls_raise_the_limit_by_one_for_each_round_of_them() -> None:
    limit = limit_of(8)
    for _ in range(3):
        limit.overloaded(limit.round)

    rises = []
    for _ in range(40):
        before = limit.limit
        limit.went_well()
        rises.append(limit.limit - before)

    assert max(rises) == 1
    assert rises.index(1) == 0, "from one, a single good call is a whole round"
    assert limit.limit == 8


async def test_a_risen_limit_lets_a_waiter_in() -> None:
    limit = limit_of(2)
    limit.overloaded(limit.round)
    async with callers(limit, 2) as started:
        assert limit.in_flight == 1

        limit.went_well()

        await started[1].got_slot.wait()


@given(
    highest=st.integers(1, 5),
    steps=st.lists(
        st.sampled_from(["come", "leave", "cancel middle", "cancel newest", "good", "bad", "run"]), max_size=60
    ),
)
@settings(deadline=None)
def test_the_limit_holds_and_no_slot_leaks_whatever_happens(highest: int, steps: list[str]) -> None:
    """No slot is given beyond the limit of that moment, and in the end all slots are free again."""

    async def scenario() -> None:
        limit = limit_of(highest, max_waiting=8)
        started: list[Caller] = []
        for step in steps:
            held, allowed = limit.in_flight, limit.limit
            match step:
                case "come":
                    started.append(Caller(limit))
                case "leave":
                    next(
                        (c.may_go for c in started if c.got_slot.is_set() and not c.may_go.is_set()), asyncio.Event()
                    ).set()
                case "cancel middle" if started:
                    started[len(started) // 2].task.cancel()
                case "cancel newest" if started:
                    started[-1].task.cancel()
                case "good":
                    limit.went_well()
                case "bad":
                    limit.overloaded(limit.round)
                case _:
                    await asyncio.sleep(0)
            assert limit.in_flight <= max(held, allowed, limit.limit)
            assert 1 <= limit.limit <= highest
            assert limit.waiting <= 8
        for caller in started:
            caller.may_go.set()
        await asyncio.gather(*(caller.task for caller in started), return_exceptions=True)
        assert (limit.in_flight, limit.waiting) == (0, 0)

    asyncio.run(scenario())
