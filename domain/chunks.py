"""Cutting what is too long for one message into several."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


def chunks(items: Sequence[T], size: int) -> Iterator[tuple[T, ...]]:
    """Give ``items`` in order as tuples of ``size``, the last one possibly shorter."""
    for start in range(0, len(items), size):
        yield tuple(items[start : start + size])
