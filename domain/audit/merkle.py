"""Merkle trees as RFC 6962 and RFC 9162 (section 2.1) define them: roots, and proofs of inclusion and consistency.

Hashes are SHA-256, 32 bytes each; several of them in a row are one ``bytes``. Whoever wants proofs says by a
:data:`NodeAt` what the root of each complete subtree is; verification needs the proof alone.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from hashlib import sha256
from struct import Struct
from typing import Final

#: Length of a hash (bytes).
HASH_BYTES: Final = 32

#: The root of the tree without leaves.
EMPTY_ROOT: Final = sha256(b"").digest()

#: The root of the complete subtree over leaves ``index << level`` to ``(index + 1) << level``, given level and index.
NodeAt = Callable[[int, int], bytes]

#: Most leaves that are hashed up to one root at a time, as a power of two.
_CHUNK_LEVEL: Final = 8

_PAIRS: Final = Struct(f"{2 * HASH_BYTES}s")
# To copy a hash that was begun takes less time than to begin one.
_NODE: Final = sha256(b"\1")


def leaf_hash(data: bytes) -> bytes:
    """The hash of a leaf that holds ``data``."""
    return sha256(b"\0" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of a node over two others."""
    return sha256(b"\1" + left + right).digest()


def parents(hashes: bytes) -> bytes:
    """The hashes one level up, of an even number of them."""
    begun, found = _NODE.copy, []
    for (pair,) in _PAIRS.iter_unpack(hashes):
        node = begun()
        node.update(pair)
        found.append(node.digest())
    return b"".join(found)


@lru_cache(maxsize=64)
def complete_root(hashes: bytes) -> bytes:
    """The root over a number of hashes that is a power of two.

    The last few are remembered: the same ones come from the log and from the tree that is stored beside it.
    """
    while len(hashes) > HASH_BYTES:
        hashes = parents(hashes)
    return hashes


class Frontier:
    """A growing tree of which only the roots of the complete subtrees are kept, O(log n) of them, largest first."""

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[tuple[int, bytes]] = []

    def copy(self) -> "Frontier":
        """Another one that grows by itself from here."""
        other = Frontier()
        other.size, other._peaks = self.size, list(self._peaks)
        return other

    def extend(self, hashes: bytes) -> None:
        """Append leaves by their hashes."""
        at, end = 0, len(hashes)
        while at < end:
            # The largest complete subtree that begins here.
            begins = (self.size & -self.size or 1 << _CHUNK_LEVEL).bit_length() - 1
            level = min(begins, _CHUNK_LEVEL, ((end - at) // HASH_BYTES).bit_length() - 1)
            behind = at + (HASH_BYTES << level)
            self._push(level, complete_root(hashes[at:behind]))
            at = behind

    def _push(self, level: int, node: bytes) -> None:
        self.size += 1 << level
        while self._peaks and self._peaks[-1][0] == level:
            node = node_hash(self._peaks.pop()[1], node)
            level += 1
        self._peaks.append((level, node))

    def root(self) -> bytes:
        """The root of the tree as it is."""
        if not self._peaks:
            return EMPTY_ROOT
        *others, (_, root) = self._peaks
        for _, peak in reversed(others):
            root = node_hash(peak, root)
        return root


def root_of(size: int, node: NodeAt) -> bytes:
    """The root of the tree of the first ``size`` leaves."""
    return _root_between(0, size, node) if size else EMPTY_ROOT


def inclusion_proof(index: int, size: int, node: NodeAt) -> Sequence[bytes]:
    """The path from leaf ``index`` to the root of the first ``size`` leaves; :class:`ValueError` for one outside."""
    if not 0 <= index < size:
        raise ValueError(f"leaf {index} is not in a tree of {size}")
    path = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(_root_between(middle, end, node))
            end = middle
        else:
            path.append(_root_between(start, middle, node))
            start = middle
    return path[::-1]


def consistency_proof(old: int, new: int, node: NodeAt) -> Sequence[bytes]:
    """What shows that the tree of ``old`` leaves is the beginning of that of ``new``, for 0 < ``old`` <= ``new``.

    Raises :class:`ValueError` for other sizes.
    """
    if not 0 < old <= new:
        raise ValueError(f"no tree of {old} leaves is the beginning of one of {new}")
    path = []
    start, end = 0, new
    while old != end:
        middle = start + _split(end - start)
        if old <= middle:
            path.append(_root_between(middle, end, node))
            end = middle
        else:
            path.append(_root_between(start, middle, node))
            start = middle
    if start:
        path.append(_root_between(start, end, node))
    return path[::-1]


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether ``leaf`` (a hash) is at ``index`` in the tree of ``size`` leaves with this root (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    here, last, found = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if here & 1 or here == last:
            found = node_hash(sibling, found)
            while not here & 1 and here:
                here, last = here >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        here, last = here >> 1, last >> 1
    return last == 0 and found == root


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the tree of ``old`` leaves is the beginning of that of ``new`` (RFC 9162, 2.1.4.2)."""
    if not 0 < old <= new:
        return False
    if old == new:
        return not proof and old_root == new_root
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not path:
        return False
    here, last = old - 1, new - 1
    while here & 1:
        here, last = here >> 1, last >> 1
    old_found = new_found = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if here & 1 or here == last:
            old_found, new_found = node_hash(sibling, old_found), node_hash(sibling, new_found)
            while not here & 1 and here:
                here, last = here >> 1, last >> 1
        else:
            new_found = node_hash(new_found, sibling)
        here, last = here >> 1, last >> 1
    return last == 0 and old_found == old_root and new_found == new_root


def _split(size: int) -> int:
    """The largest power of two below ``size``."""
    return 1 << (size - 1).bit_length() - 1


def _root_between(start: int, end: int, node: NodeAt) -> bytes:
    size = end - start
    if size & (size - 1) == 0:
        level = size.bit_length() - 1
        return node(level, start >> level)
    middle = start + _split(size)
    return node_hash(_root_between(start, middle, node), _root_between(middle, end, node))
