"""Keeps the log's tree up with the log, and writes tree heads; outside the write path, which knows nothing of it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from pydantic import Field

from adapters.event_store.tree_store import TreeStore
from adapters.kafka.stoppable import unless_stopped, wait_for_event
from domain.audit.leaf import NO_EVENT
from domain.audit.merkle import root_of
from domain.audit.tiles import TILE_WIDTH, Tile, TiledTree, TreeDamaged, edge_of, grow, packed, unpacked
from domain.audit.tree_head import TreeHead
from projections.threads import in_thread

log = logging.getLogger(__name__)

#: Signs bytes.
Sign = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeLimits:
    """How the tree follows the log: events a batch (count), and times in seconds.

    Rounds are at least ``pause_seconds`` apart, and at most ``poll_seconds`` where nobody says that there is something
    new. A tree head is written at most every ``head_every_seconds``, if there is something new, and when the worker
    stops.
    """

    batch_size: Annotated[int, Field(ge=1, le=20_000)] = 2048
    pause_seconds: Annotated[float, Field(gt=0, le=3600)] = 0.5
    poll_seconds: Annotated[float, Field(gt=0, le=3600)] = 5.0
    head_every_seconds: Annotated[float, Field(gt=0, le=86_400)] = 60.0


@dataclass(frozen=True, slots=True)
class TreeEnd:
    """How many leaves the stored tree has, and the position of the last one (0: none)."""

    size: int
    position: int


class TreeKeeper:
    """Appends leaves to the stored tree and writes heads; its calls block. Any number may do so at the same time."""

    def __init__(self, store: TreeStore, *, batch_size: int = 2048, sign: Sign | None = None) -> None:
        self._store = store
        self._batch_size = batch_size
        self._sign = sign

    def end(self) -> TreeEnd:
        """Where the stored tree ends."""
        tile = self._store.last_leaf_tile()
        return TreeEnd(0, 0) if tile is None else _end_of(tile)

    def step(self) -> bool:
        """Append at most one batch; tells whether there may be more.

        Raises :class:`TreeDamaged` for a stored tree that could not have grown, and for a row that is no event.
        """
        last = self._store.last_leaf_tile()
        end = TreeEnd(0, 0) if last is None else _end_of(last)
        leaves = self._store.leaves(after=end.position, limit=self._batch_size)
        if not leaves.positions:
            return False
        if NO_EVENT in leaves.hashes:
            unreadable = [position for position, each in leaves.each() if each == NO_EVENT]
            raise TreeDamaged(f"the row at position {unreadable[0]} of the log is no event")
        grown = grow(end.size, self._edge(end.size), leaves.hashes, packed(leaves.positions))
        # Where somebody else was faster, what they stored is looked at in the next step.
        is_stored = self._store.extend(grown)
        return not is_stored or len(leaves.positions) == self._batch_size

    def _edge(self, size: int) -> dict[int, Tile]:
        edge = {}
        for level, index in edge_of(size):
            tile = self._store.tile(level, index)
            if tile is None or tile.count != (size >> level * 8) % TILE_WIDTH:
                raise TreeDamaged(f"tile {index} of level {level} of the stored tree is not as long as it must be")
            edge[level] = tile
        return edge

    def write_head(self, now: datetime) -> TreeHead | None:
        """Write a head of the tree as it is, unless there is one.

        Raises :class:`TreeDamaged` if the tree does not go on from the last head, so that nothing is ever signed that
        contradicts what was signed before.
        """
        end, last = self.end(), self._store.last_head()
        if end.size == (last.size if last else 0):
            return None
        tree = TiledTree(end.size, self._store.tile)
        if last and (end.size < last.size or root_of(last.size, tree.node) != last.root_bytes):
            raise TreeDamaged(f"the stored tree does not go on from the head of {last.size} events: verify the log")
        at = now.astimezone(UTC)
        head = TreeHead(size=end.size, position=end.position, root=tree.root().hex(), at=at)
        if self._sign is not None:
            head = head.signed(self._sign(head.signed_bytes))
        return head if self._store.keep_head(head) else None

    def heads(self) -> Iterator[TreeHead]:
        """All stored heads, the smallest first. Raises :class:`TreeDamaged` at a row that is none."""
        after = None
        while some := self._store.heads(after=after, limit=1000):
            yield from some
            after = some[-1].size


def _end_of(tile: Tile) -> TreeEnd:
    positions = unpacked(tile.positions)
    if tile.count != len(positions) or not positions:
        raise TreeDamaged(f"tile {tile.index} of the stored tree's leaves has {len(positions)} positions")
    return TreeEnd(tile.index * TILE_WIDTH + tile.count, positions[-1])


class TreeFollower:
    """Lets a :class:`TreeKeeper` follow the log; ``publish`` is awaited whenever a head was due."""

    def __init__(
        self,
        keeper: TreeKeeper,
        *,
        clock: Callable[[], datetime],
        limits: TreeLimits,
        publish: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._keeper = keeper
        self._clock = clock
        self._limits = limits
        self._publish = publish
        self._head_due_at = 0.0

    async def run(self, stop: asyncio.Event, wake: asyncio.Event) -> None:
        """Follow until ``stop`` is set, then to the end of the log.

        ``wake`` says that there may be new events, and is cleared. A damaged tree is left as it is, and said to be
        damaged now and again. Raises what the store and ``publish`` raise.
        """
        is_last_round = False
        while not is_last_round:
            is_last_round = stop.is_set()
            wake.clear()
            try:
                await self._round(is_last=is_last_round)
            except TreeDamaged as damage:
                # The worker goes on: it would be no better off dead, and auditors learn of it when they verify.
                log.exception("the log's tree stands still", exc_info=damage, extra={"action": "tree_damaged"})
                await wait_for_event(stop, self._limits.head_every_seconds)
            if not is_last_round:
                await wait_for_event(stop, self._limits.pause_seconds)
                await unless_stopped(stop, wait_for_event(wake, self._limits.poll_seconds))

    async def _round(self, *, is_last: bool) -> None:
        while await in_thread(self._keeper.step):
            pass
        now = asyncio.get_running_loop().time()
        if is_last or now >= self._head_due_at:
            self._head_due_at = now + self._limits.head_every_seconds
            await in_thread(self._keeper.write_head, self._clock())
            if self._publish is not None:
                await self._publish()
