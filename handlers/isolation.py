"""Bulk calls in which one part's failure stays with that part."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Protocol, TypeVar
from uuid import UUID

from handlers.deployment_repository import BulkOperationFailed


class _Key(Protocol):
    def __hash__(self) -> int: ...


K = TypeVar("K", bound=_Key)
V = TypeVar("V")


async def fetch_apart(
    fetch: Callable[[set[K]], Awaitable[Mapping[K, V]]], keys: Iterable[K]
) -> tuple[dict[K, V], dict[K, Exception]]:
    """Fetch all keys in one call; if that fails, each alone. Gives what was found and what went wrong, by key."""
    wanted = set(keys)
    try:
        return dict(await fetch(wanted)), {}
    except Exception as error:  # noqa: BLE001 - whatever the repository raises stays with the keys it concerns
        if len(wanted) <= 1:
            return {}, dict.fromkeys(wanted, error)
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
    """Store all values in one call; if that fails as a whole, each alone. Gives what went wrong, by key."""
    if not values:
        return {}
    try:
        await store(values)
    except BulkOperationFailed as error:
        return dict(error.failures)
    except Exception as error:  # noqa: BLE001 - whatever the repository raises stays with the keys it concerns
        if len(values) == 1:
            return dict.fromkeys(values, error)
    else:
        return {}
    failures: dict[UUID, Exception] = {}
    for key, value in values.items():
        failures |= await store_apart(store, {key: value})
    return failures
