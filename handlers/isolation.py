"""Calls in which one part's failure, or slowness, stays with that part."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from functools import partial
from typing import Any, Final, Protocol, TypeVar
from uuid import UUID

from handlers.deployment_repository import BulkOperationFailed

#: How long results of calls wait for those of others, to be stored together (seconds).
_TOGETHER_SECONDS: Final = 0.05


class _Key(Protocol):
    def __hash__(self) -> int: ...


K = TypeVar("K", bound=_Key)
V = TypeVar("V")


async def attempt(call: Callable[[], Awaitable[V]]) -> V | Exception:
    """Give what ``call`` gives, or what it raises, as a value."""
    try:
        return await call()
    except Exception as error:  # noqa: BLE001 - whatever is raised stays with the deployments that it concerns
        return error


async def fetch_apart(
    fetch: Callable[[set[K]], Awaitable[Mapping[K, V]]], keys: Iterable[K]
) -> tuple[dict[K, V], dict[K, Exception]]:
    """Fetch all keys in one call; if that fails, each alone. Gives what was found and what went wrong, by key.

    Without keys nothing is called.
    """
    wanted = set(keys)
    if not wanted:
        return {}, {}
    answer = await attempt(partial(fetch, wanted))
    if not isinstance(answer, Exception):
        return dict(answer), {}
    if len(wanted) == 1:
        return {}, dict.fromkeys(wanted, answer)
    found: dict[K, V] = {}
    failures: dict[K, Exception] = {}
    for key in wanted:
        one, failed = await fetch_apart(fetch, {key})
        found |= one
        failures |= failed
    return found, failures


async def store_apart(
    store: Callable[[Mapping[UUID, V]], Awaitable[None]], values: Mapping[UUID, V]
) -> dict[UUID, Exception]:
    """Store all values in one call; if that fails as a whole, each alone. Gives what went wrong, by key.

    Without values nothing is called.
    """
    if not values:
        return {}
    error = await attempt(partial(store, values))
    if not isinstance(error, Exception):
        return {}
    if isinstance(error, BulkOperationFailed):
        # A part that nobody here knows may be anybody's: better a failure too many than one that goes unnoticed.
        known = error.failures.keys() <= values.keys()
        return dict(error.failures) if known else dict.fromkeys(values, error)
    if len(values) == 1:
        return dict.fromkeys(values, error)
    failures: dict[UUID, Exception] = {}
    for key, value in values.items():
        failures |= await store_apart(store, {key: value})
    return failures


async def side_by_side(calls: Iterable[Coroutine[Any, Any, None]], store: Callable[[], Awaitable[None]]) -> None:
    """Make calls at the same time, and have stored what they have brought: in one go if none takes long."""
    async with asyncio.TaskGroup() as group:
        pending = {group.create_task(call) for call in calls}
        while pending:
            done, pending = await asyncio.wait(pending, timeout=_TOGETHER_SECONDS)
            for each in done:
                each.result()
            await store()
