"""On SQLite, too, one process at a time follows the log."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from unittest.mock import patch

from handlers.backoff import Backoff
from handlers.ports import LogUnavailable
from service.followers import Follower
from service.settings import Settings
from service.stores import stores_of


async def test_work_that_one_does_begins_elsewhere_only_when_that_one_has_ended(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    stop, first_may_end, begun = asyncio.Event(), asyncio.Event(), [asyncio.Event(), asyncio.Event()]
    order: list[str] = []

    async def first() -> None:
        begun[0].set()
        await first_may_end.wait()
        order.append("first ended")

    async def second() -> None:
        order.append("second began")
        begun[1].set()

    one = asyncio.create_task(stores_of(settings).run_alone("publisher", first, stop))
    await begun[0].wait()
    other = asyncio.create_task(stores_of(settings).run_alone("publisher", second, stop))
    await asyncio.sleep(0)
    first_may_end.set()
    await asyncio.gather(one, other)

    assert order == ["first ended", "second began"]


async def test_who_waits_for_its_turn_ends_when_told_to_stop(tmp_path: Path) -> None:
    settings, stop, begun = Settings(data_dir=tmp_path), asyncio.Event(), asyncio.Event()

    async def endless() -> None:
        begun.set()
        await asyncio.Event().wait()

    one = asyncio.create_task(stores_of(settings).run_alone("views", endless, stop))
    await begun.wait()
    waiting = asyncio.create_task(stores_of(settings).run_alone("views", endless, stop))
    stop.set()

    await waiting

    one.cancel()


async def test_who_stands_by_after_trouble_has_nothing_to_complain_of(tmp_path: Path) -> None:
    """Somebody else took over what stopped here."""
    stores, stop, stands_by = stores_of(Settings(data_dir=tmp_path)), asyncio.Event(), asyncio.Event()
    attempts = 0

    async def follow(_stop: asyncio.Event, _wake: asyncio.Event) -> None:
        raise LogUnavailable("away")

    async def run_alone(_name: str, work: Callable[[], Awaitable[None]], stop: asyncio.Event) -> None:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            await work()
        stands_by.set()
        await stop.wait()

    follower = Follower("views", follow, stores)
    with patch.object(stores, "run_alone", run_alone), patch("service.followers._BACKOFF", Backoff(base=0.0, cap=0.0)):
        following = asyncio.create_task(follower.run(stop, asyncio.Event()))
        await asyncio.wait_for(stands_by.wait(), 10)

        assert follower.trouble is None
        stop.set()
        await following
