"""Whether the events of a bundle are all that were asked for: none missing between them, before them, or behind."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from domain.audit.leaf import Leaf
from domain.audit.tree_head import TreeHead


class AskedFor(NamedTuple):
    """What a bundle is to hold: positions, of one stream or of the whole log, as far as the ``head`` goes.

    ``has_neighbours``: the events right before and behind are in it too where there are any, as since format 2.
    """

    head: TreeHead
    is_stream: bool
    first: int
    last: int
    has_neighbours: bool


@dataclass(frozen=True, slots=True)
class _Place:
    position: int
    index: int
    version: int
    is_neighbour: bool


class BundleRange:
    """Takes the leaves of a bundle in order, those right before and behind what was asked for among them."""

    def __init__(self, asked: AskedFor) -> None:
        self._asked = asked
        self._begin: _Place | None = None
        self._end: _Place | None = None

    def take(self, leaf: Leaf, index: int, *, is_neighbour: bool) -> Iterator[str]:
        """Take the leaf at ``index``; gives what is wrong with its place, in words."""
        asked, last = self._asked, self._end
        here = _Place(leaf.position, index, leaf.version, is_neighbour)
        if is_neighbour == (asked.first <= leaf.position <= asked.last):
            yield f"is {'' if is_neighbour else 'not '}between positions {asked.first} and {asked.last}"
        if last is None:
            self._begin = here
            if not self._begins() and (asked.has_neighbours or asked.first <= 1):
                yield from self._missing_before(here)
        elif here.position <= last.position or index <= last.index:
            yield f"stands behind position {last.position}, leaf {last.index}"
        if last is not None and asked.is_stream and here.version != last.version + 1:
            yield f"version {last.version + 1} is missing before version {here.version}"
        if last is not None and not asked.is_stream and index != last.index + 1:
            yield f"leaf {last.index + 1} is missing before leaf {index}"
        self._end = here

    def missing_at_end(self) -> str | None:
        """What must be at the end and is not; of one stream it cannot be told."""
        asked = self._asked
        if asked.is_stream or self._ends() or not (asked.has_neighbours or asked.last >= asked.head.position):
            return None
        last = -1 if self._end is None else self._end.index
        return f"leaves {last + 1} to {asked.head.size - 1} are missing at the end"

    def proven(self) -> Iterator[str]:
        """What is proven of the whole if nothing is wrong, in words."""
        asked, of = self._asked, self._of()
        if self._begins() and self._ends():
            yield f"no event{of} between positions {asked.first} and {asked.last} is missing"
        elif self._begin is not None and self._end is not None:
            first = asked.first if self._begins() else self._begin.position
            last = asked.last if self._ends() else self._end.position
            yield f"no event{of} between positions {first} and {last} is missing"

    def not_proven(self) -> Iterator[str]:
        """What is not, in words."""
        asked, of = self._asked, self._of()
        if not self._begins():
            before = asked.last if self._begin is None else self._begin.position - 1
            yield f"that there is no event{of} between positions {asked.first} and {before}"
        if not self._ends() and not (self._end is None and not self._begins()):
            after = asked.first if self._end is None else self._end.position + 1
            if after <= asked.last:
                yield f"that there is no event{of} between positions {after} and {asked.last}"
        yield f"anything of what came behind position {asked.head.position}, where the head ends"
        if asked.is_stream:
            yield "that the log has each version of the deployment once; 'audit verify' looks at that"

    def _of(self) -> str:
        return " of the deployment" if self._asked.is_stream else ""

    def _begins(self) -> bool:
        """Whether nothing can be missing before the first."""
        begin = self._begin
        if begin is None:
            return False
        is_first = begin.version == 1 if self._asked.is_stream else begin.index == 0
        return is_first or (begin.is_neighbour and begin.position < self._asked.first)

    def _ends(self) -> bool:
        end = self._end
        if end is None:
            return False
        is_last = not self._asked.is_stream and end.index == self._asked.head.size - 1
        return is_last or (end.is_neighbour and end.position > self._asked.last)

    def _missing_before(self, here: _Place) -> Iterator[str]:
        if self._asked.is_stream:
            yield f"version {here.version - 1} is missing before version {here.version}, the first one"
        else:
            yield f"leaf {here.index - 1} is missing before leaf {here.index}, the first one"
