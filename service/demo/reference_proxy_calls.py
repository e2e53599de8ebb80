"""Reference part: how often the reference proxy was called, and how often at once."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from service.demo.reference_proxy_faults import ProxyOperation


class CallCounter:
    """Counts calls as they arrive and end, faulty answers included."""

    def __init__(self) -> None:
        self.creates = 0
        self.deletes = 0
        self.under_way = 0
        self.most_under_way = 0
        self._changed = asyncio.Event()

    def counts(self) -> dict[str, int]:
        """Give all counts by name."""
        return {
            "creates": self.creates,
            "deletes": self.deletes,
            "under_way": self.under_way,
            "most_under_way": self.most_under_way,
        }

    @contextmanager
    def counted(self, operation: ProxyOperation) -> Iterator[None]:
        """Count one call for as long as it lasts."""
        if operation is ProxyOperation.CREATE:
            self.creates += 1
        else:
            self.deletes += 1
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        self._change()
        try:
            yield
        finally:
            self.under_way -= 1
            self._change()

    async def until(self, holds: Callable[["CallCounter"], bool]) -> None:
        """Wait until the counts are as wanted."""
        while not holds(self):
            await self._changed.wait()

    def _change(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
