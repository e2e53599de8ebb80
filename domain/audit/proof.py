"""Holds a log against tree heads that were kept elsewhere, and against the stored tree to say where it differs.

Heads alone tell between which two of them something is not as it was. The stored tree, as far as a head proves that it
is unharmed, tells which event.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from typing import Final, NamedTuple

from domain.audit.merkle import HASH_BYTES, Frontier
from domain.audit.tree_head import TreeHead

#: Most differences that are told apart (count); what comes after is only counted.
MAX_DIFFERENCES: Final = 1000


class Leaves(NamedTuple):
    """Some leaves in log order: the positions of their events, and their hashes in a row."""

    positions: Sequence[int]
    hashes: bytes

    def each(self) -> Iterator[tuple[int, bytes]]:
        """One by one."""
        starts = range(0, len(self.hashes), HASH_BYTES)
        return zip(self.positions, (self.hashes[at : at + HASH_BYTES] for at in starts), strict=True)


class Kind(StrEnum):
    """How a log is not what it was."""

    ALTERED = "altered"
    REMOVED = "removed"
    INSERTED = "inserted"
    CUT = "cut"
    DIFFERS = "differs-between-heads"
    UNPROVEN = "unproven"


@dataclass(frozen=True, slots=True)
class Gap:
    """Where log and stored tree differ: positions ``first`` to ``last``, so many events (count), and the leaves there.

    ``kind`` is what happened to the log if the tree is right.
    """

    kind: Kind
    first: int
    last: int
    events: int
    log_index: int
    tree_index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """How far leaves agree with heads.

    ``size`` leaves there are, at positions ``begin`` to ``end`` (0: there are none). They agree up to the head
    ``proven``, of which the last event is at ``proven_end`` (0: nothing is proven); ``refuted`` is the first head with
    which they do not agree or that they do not reach, ``unreached`` the largest that they do not reach. Of heads that
    they agree with, those in ``misplaced`` say that they end at another position than the one told beside them.
    """

    size: int
    begin: int
    end: int
    proven: TreeHead | None
    proven_end: int
    refuted: TreeHead | None
    unreached: TreeHead | None
    misplaced: Sequence[tuple[TreeHead, int]]

    @property
    def proven_size(self) -> int:
        """How many leaves are proven to be what they were."""
        return self.proven.size if self.proven else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What came of it; ``more`` gaps (count) were not kept."""

    log: Judgement
    tree: Judgement
    gaps: Sequence[Gap]
    more: int

    def log_gaps(self) -> Iterator[tuple[Gap, bool]]:
        """Where the log is not as it was, and whether a head proves it, or only the stored tree says so."""
        for gap in self.gaps:
            if min(gap.log_index, gap.tree_index) >= self.log.proven_size:
                yield gap, gap.tree_index < self.tree.proven_size

    def tree_gaps(self) -> Iterator[Gap]:
        """Where the stored tree is wrong: the log is proven there."""
        return (gap for gap in self.gaps if min(gap.log_index, gap.tree_index) < self.log.proven_size)

    @property
    def unlocated(self) -> Sequence[Gap]:
        """What is known from heads alone: between which positions the log is not as it was, or from where it is cut.

        Of what stands between the last head that is proven and the cut, heads tell nothing.
        """
        log, refuted, largest = self.log, self.log.refuted, self.log.unreached
        if refuted is None:
            return ()
        at, end, known = log.proven_size, log.size, self.tree.proven_size
        first = log.proven_end + 1 if log.proven else min(log.begin, 1)
        gaps = []
        if known < refuted.size:
            if refuted.size <= end or refuted.position <= log.end:
                gaps.append(Gap(Kind.DIFFERS, first, max(first, refuted.position), refuted.size - at, at, at))
            elif end > at:
                gaps.append(Gap(Kind.UNPROVEN, first, log.end, end - at, at, at))
        if largest is not None and known < largest.size and largest.position > log.end:
            gaps.append(Gap(Kind.CUT, max(log.end + 1, first), largest.position, largest.size - end, end, end))
        return gaps


def prove(heads: Iterable[TreeHead], log: Iterable[Leaves], tree: Iterable[Leaves]) -> Proof:
    """Compare; both sides are read once, in order, and fast where they come in equal pieces.

    The order of heads does not matter.
    """
    ordered = sorted(heads, key=lambda head: (head.size, head.signed_bytes))
    log_side, tree_side = _Side(ordered), _Side(ordered)
    log_pieces, tree_pieces = iter(log), iter(tree)
    gaps = _Gaps([head.size for head in ordered])
    while True:
        # The tree first: whatever is in it by then, the log has as well.
        theirs, mine = next(tree_pieces, None), next(log_pieces, None)
        if theirs is None or mine is None or mine != theirs:
            break
        log_side.extend(mine)
    tree_side.go_on_from(log_side)
    _merge(_Reader(log_pieces, mine, log_side), _Reader(tree_pieces, theirs, tree_side), gaps)
    return Proof(log=log_side.judgement(), tree=tree_side.judgement(), gaps=gaps.kept, more=gaps.more)


class _Side:
    """Leaves of one side, and what heads say of them."""

    def __init__(self, heads: Sequence[TreeHead]) -> None:
        self._heads = [list(same) for _, same in groupby(heads, key=lambda head: head.size)]
        self._next = 0
        self._proven: TreeHead | None = None
        self._proven_end = 0
        self._refuted: TreeHead | None = None
        self._misplaced: list[tuple[TreeHead, int]] = []
        self._frontier = Frontier()
        self._begin = self._end = 0

    @property
    def size(self) -> int:
        return self._frontier.size

    def go_on_from(self, other: "_Side") -> None:
        """Take over what both have in common."""
        vars(self).update(vars(other))
        self._frontier, self._misplaced = self._frontier.copy(), list(self._misplaced)

    def extend(self, leaves: Leaves) -> None:
        hashes, before = leaves.hashes, self.size
        if leaves.positions and not before:
            self._begin = leaves.positions[0]
        while self._next < len(self._heads):
            same = self._heads[self._next]
            size = same[0].size
            wanted = (size - self.size) * HASH_BYTES
            if wanted > len(hashes):
                break
            self._frontier.extend(hashes[:wanted])
            hashes = hashes[wanted:]
            self._judge(same, self._end if size == before else leaves.positions[size - before - 1])
            self._next += 1
        self._frontier.extend(hashes)
        if leaves.positions:
            self._end = leaves.positions[-1]

    def _judge(self, same: Sequence[TreeHead], end: int) -> None:
        """Judge heads of one size; the last of so many events is at position ``end``."""
        # Heads after one that was refuted were made of something else; they prove nothing about what was before.
        if self._refuted is not None:
            return
        root = self._frontier.root()
        agreeing = [head for head in same if head.root_bytes == root]
        if agreeing:
            self._proven, self._proven_end = agreeing[0], end
            self._misplaced += [(head, end) for head in agreeing if head.position != end]
        self._refuted = next((head for head in same if head.root_bytes != root), None)

    def judgement(self) -> Judgement:
        unreached = [same[0] for same in self._heads[self._next :]]
        return Judgement(
            size=self.size,
            begin=self._begin,
            end=self._end,
            proven=self._proven,
            proven_end=self._proven_end,
            refuted=self._refuted or next(iter(unreached), None),
            unreached=unreached[-1] if unreached else None,
            misplaced=self._misplaced,
        )


class _Reader:
    """Gives the leaves of a side one by one."""

    def __init__(self, pieces: Iterator[Leaves], first: Leaves | None, side: _Side) -> None:
        self._pieces = pieces
        self._piece = first or Leaves((), b"")
        self._at = 0
        self.side = side
        self.index = side.size
        self._settle()

    def _settle(self) -> None:
        while self._at == len(self._piece.positions):
            self.side.extend(self._piece)
            following = next(self._pieces, None)
            self._at = 0
            if following is None:
                self._piece = Leaves((), b"")
                self.position: int | None = None
                return
            self._piece = following
        self.position = self._piece.positions[self._at]

    @property
    def hash(self) -> bytes:
        return self._piece.hashes[self._at * HASH_BYTES : (self._at + 1) * HASH_BYTES]

    def pass_one(self) -> None:
        self._at += 1
        self.index += 1
        self._settle()

    def pass_all(self) -> None:
        """Read what is left without a look at each."""
        while self.position is not None:
            self.index += len(self._piece.positions) - self._at
            self._at = len(self._piece.positions)
            self._settle()


class _Gaps:
    """Differences as they are found; neighbours of a kind become one, unless a head stands between them."""

    def __init__(self, sizes: Sequence[int]) -> None:
        self._sizes = sizes
        self.kept: list[Gap] = []
        self.more = 0

    def add(self, kind: Kind, position: int, log: _Reader, tree: _Reader) -> None:
        last = self.kept[-1] if self.kept else None
        if last and self._continues(last, kind, log.index, tree.index):
            self.kept[-1] = Gap(kind, last.first, position, last.events + 1, last.log_index, last.tree_index)
        elif len(self.kept) < MAX_DIFFERENCES:
            self.kept.append(Gap(kind, position, position, 1, log.index, tree.index))
        else:
            self.more += 1

    def _continues(self, last: Gap, kind: Kind, log_index: int, tree_index: int) -> bool:
        moved = (log_index - last.log_index, tree_index - last.tree_index)
        events = last.events
        expected = (events if kind is not Kind.REMOVED else 0, events if kind is not Kind.INSERTED else 0)
        places = [(last.log_index, log_index), (last.tree_index, tree_index)]
        is_apart = any(bisect_right(self._sizes, a) != bisect_right(self._sizes, b) for a, b in places)
        return not self.more and kind is last.kind and moved == expected and not is_apart


def _merge(log: _Reader, tree: _Reader, gaps: _Gaps) -> None:
    """Walk both in the order of positions, to the end of the tree; behind it the log has only what is new."""
    while tree.position is not None:
        if log.position is None or tree.position < log.position:
            gaps.add(Kind.REMOVED, tree.position, log, tree)
            tree.pass_one()
        elif log.position < tree.position:
            gaps.add(Kind.INSERTED, log.position, log, tree)
            log.pass_one()
        else:
            if log.hash != tree.hash:
                gaps.add(Kind.ALTERED, log.position, log, tree)
            log.pass_one()
            tree.pass_one()
    log.pass_all()
