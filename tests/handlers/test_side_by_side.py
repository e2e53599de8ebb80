"""Calls at the same time, and when what they bring is stored."""

import asyncio

from handlers.isolation import side_by_side


class Calls:
    """What calls have brought, and what was stored of it in which order."""

    def __init__(self) -> None:
        self.brought: list[str] = []
        self.stored: list[list[str]] = []
        self.has_stored = asyncio.Event()

    async def quick(self, name: str) -> None:
        """Bring something at once."""
        self.brought.append(name)

    async def slow(self, name: str) -> None:
        """Bring something only when that of others is stored."""
        await self.has_stored.wait()
        self.brought.append(name)

    async def store(self) -> None:
        """Store what there is."""
        self.stored.append(self.brought)
        self.brought = []
        self.has_stored.set()


async def test_what_calls_bring_at_once_is_stored_in_one_go() -> None:
    calls = Calls()

    await side_by_side([calls.quick("a"), calls.quick("b")], calls.store)

    assert calls.stored == [["a", "b"]]


async def test_a_call_that_takes_long_keeps_nobody_elses_result_from_being_stored() -> None:
    calls = Calls()

    await side_by_side([calls.slow("a"), calls.quick("b")], calls.store)

    assert calls.stored == [["b"], ["a"]]
