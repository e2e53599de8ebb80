"""Keeping background work alive: what may pass is waited out, what does not pass ends the worker loudly."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from random import random
from typing import TypeVar

from handlers.backoff import Backoff

log = logging.getLogger(__name__)

E = TypeVar("E", bound=BaseException)


async def keep_running(
    name: str,
    run: Callable[[], Awaitable[None]],
    *,
    stop: asyncio.Event,
    passing: tuple[type[Exception], ...],
    backoff: Backoff,
) -> None:
    """Await ``run()`` until it returns; after a ``passing`` error again, with ``backoff``, unless ``stop`` is set.

    Any other error is raised.
    """
    attempt = 0
    loop = asyncio.get_running_loop()
    while True:
        started = loop.time()
        try:
            await run()
        except passing as error:
            # Whoever ran for longer than the longest wait has recovered in between.
            attempt = 1 if loop.time() - started > backoff.cap else attempt + 1
            delay = backoff.delay(attempt, random())  # noqa: S311 - spreads load, guards nothing
            log.warning("%s stopped and goes on in %.1f s: %s", name, delay, error)
        else:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await stop.wait()
        if stop.is_set():
            return


def leaves(group: BaseExceptionGroup[E]) -> Iterator[E]:
    """The single errors in a group of errors and groups."""
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from leaves(error)
        else:
            yield error
