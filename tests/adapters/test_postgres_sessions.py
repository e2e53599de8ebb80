"""Who listens hears of every write and survives lost connections; what one process at a time does moves on with it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress

import psycopg
import pytest

from adapters.postgres.address import PostgresAddress
from adapters.postgres.notifications import Notifications
from adapters.postgres.sessions import SessionLimits
from adapters.postgres.singleton import Singleton
from handlers.backoff import Backoff
from handlers.ports import LogBatch
from tests.adapters.event_log_support import events
from tests.adapters.postgres_fault_proxy import PostgresFaultProxy
from tests.adapters.postgres_store import PostgresStore

LIMITS = SessionLimits(heartbeat_seconds=0.2, takeover_seconds=0.02, reconnect=Backoff(base=0.02, cap=0.05))

SHARED = "log"


@pytest.fixture
def proxy(postgres_url: str) -> Iterator[PostgresFaultProxy]:
    proxy = PostgresFaultProxy(postgres_url)
    yield proxy
    proxy.close()


@pytest.fixture
def store(postgres_url: str) -> Iterator[PostgresStore]:
    store = PostgresStore(postgres_url)
    yield store
    store.close()


class Calls:
    """Counts calls, and lets somebody wait for them."""

    def __init__(self) -> None:
        self.count = 0
        self._called = asyncio.Event()

    def __call__(self) -> None:
        self.count += 1
        self._called.set()

    async def at_least(self, count: int) -> None:
        async with asyncio.timeout(10):
            while self.count < count:
                self._called.clear()
                await self._called.wait()


@asynccontextmanager
async def listening(url: str, channel: str) -> AsyncIterator[Calls]:
    heard = Calls()
    notifications = Notifications(PostgresAddress(url), channel, shared_lock=SHARED, limits=LIMITS)
    task = asyncio.create_task(notifications.run(heard))
    await heard.at_least(1)
    yield heard
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_who_listens_is_woken_by_every_append_of_any_process(store: PostgresStore) -> None:
    log = store.open()
    async with listening(store.url, f"{store.schema}.stored_events") as heard:
        for count in (2, 3, 4):
            await log.append(LogBatch(events=events(3)))

            await heard.at_least(count)


async def test_a_listener_whose_connection_was_killed_listens_again_and_looks_for_what_it_missed(
    store: PostgresStore,
) -> None:
    """Fault 25: LISTEN lost."""
    log = store.open()
    async with listening(store.url, f"{store.schema}.stored_events") as heard:
        store.kill_connections()
        await heard.at_least(2)

        await log.append(LogBatch(events=events(1)))

        await heard.at_least(3)


async def test_a_listener_waits_for_a_database_that_is_away(proxy: PostgresFaultProxy, store: PostgresStore) -> None:
    log = store.open()
    async with listening(proxy.url, f"{store.schema}.stored_events") as heard:
        proxy.go_down()
        await log.append(LogBatch(events=events(1)))
        proxy.come_back()

        await heard.at_least(2)


class Work:
    """Something that must not be done twice at a time."""

    def __init__(self, at_work: list[str], name: str) -> None:
        self.begun = Calls()
        self.ended = Calls()
        self._at_work = at_work
        self._name = name

    async def __call__(self) -> None:
        self.begun()
        self._at_work.append(self._name)
        try:
            await asyncio.Event().wait()
        finally:
            self._at_work.remove(self._name)
            self.ended()


@pytest.fixture
def at_work() -> list[str]:
    """Who is at work now."""
    return []


def start(url: str, work: Callable[[], object], stop: asyncio.Event, name: str = "views") -> "asyncio.Task[None]":
    return asyncio.create_task(Singleton(PostgresAddress(url), name, limits=LIMITS).run(work, stop))  # type: ignore[arg-type] # Work is awaitable


async def end(*tasks: "asyncio.Task[None]") -> None:
    for task in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_one_at_a_time_works_and_the_next_takes_over_when_it_ends(postgres_url: str, at_work: list[str]) -> None:
    one, other, stop = Work(at_work, "one"), Work(at_work, "other"), asyncio.Event()
    first = start(postgres_url, one, stop)
    await one.begun.at_least(1)
    second = start(postgres_url, other, stop)
    await asyncio.sleep(0.1)
    assert at_work == ["one"]

    await end(first)

    await other.begun.at_least(1)
    assert at_work == ["other"]
    await end(second)


async def test_who_loses_the_session_stops_working_and_another_takes_over(
    proxy: PostgresFaultProxy, postgres_url: str, at_work: list[str]
) -> None:
    one, other, stop = Work(at_work, "one"), Work(at_work, "other"), asyncio.Event()
    first = start(proxy.url, one, stop)
    await one.begun.at_least(1)
    second = start(postgres_url, other, stop)

    proxy.go_down()

    await other.begun.at_least(1)
    assert at_work == ["other"]
    proxy.come_back()
    await end(second)
    await one.begun.at_least(2)
    assert at_work == ["one"]
    await end(first)


async def test_a_server_that_does_not_answer_any_more_counts_as_lost(
    proxy: PostgresFaultProxy, at_work: list[str]
) -> None:
    """Nothing closes the connection, but the heartbeat stays without an answer."""
    one, stop = Work(at_work, "one"), asyncio.Event()
    task = start(proxy.url, one, stop)
    await one.begun.at_least(1)

    proxy.fall_silent()

    await one.ended.at_least(1)
    assert at_work == []
    proxy.go_down()
    await end(task)


async def test_who_is_stopped_while_others_work_returns_without_having_begun(
    postgres_url: str, at_work: list[str]
) -> None:
    one, other, stop = Work(at_work, "one"), Work(at_work, "other"), asyncio.Event()
    first = start(postgres_url, one, asyncio.Event())
    await one.begun.at_least(1)
    second = start(postgres_url, other, stop)
    await asyncio.sleep(0.05)

    stop.set()

    await second
    assert other.begun.count == 0
    await end(first)


@pytest.mark.parametrize("raised", [ValueError("wrong"), TimeoutError("too late"), psycopg.OperationalError("gone")])
async def test_what_the_work_raises_is_raised_and_the_lock_is_free_again(
    postgres_url: str, at_work: list[str], raised: Exception
) -> None:
    async def fail() -> None:
        raise raised

    with pytest.raises(type(raised), match=str(raised)):
        await start(postgres_url, fail, asyncio.Event())

    one = Work(at_work, "one")
    task = start(postgres_url, one, asyncio.Event())
    await one.begun.at_least(1)
    await end(task)


async def test_who_must_be_alone_waits_for_all_who_listen_also_for_those_who_had_to_listen_again(
    store: PostgresStore, at_work: list[str]
) -> None:
    alone = Work(at_work, "alone")
    async with listening(store.url, "first") as first:
        async with listening(store.url, "second") as second:
            store.kill_connections()
            await first.at_least(2)
            await second.at_least(2)
        task = start(store.url, alone, asyncio.Event(), SHARED)
        await asyncio.sleep(0.1)
        assert at_work == []

    await alone.begun.at_least(1)
    await end(task)


async def test_nobody_listens_while_somebody_is_alone(store: PostgresStore, at_work: list[str]) -> None:
    alone, heard = Work(at_work, "alone"), Calls()
    task = start(store.url, alone, asyncio.Event(), SHARED)
    await alone.begun.at_least(1)

    await Notifications(PostgresAddress(store.url), "any", shared_lock=SHARED, limits=LIMITS).run(heard)

    assert heard.count == 0
    await end(task)
