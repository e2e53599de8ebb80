"""The checks that hold the log against tree heads."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby, pairwise
from pathlib import Path

from adapters.event_store.tree_reading import log_leaves, tree_leaves
from adapters.event_store.tree_store import TreeStore, TreeUnusable
from adapters.signatures import PublicKey
from domain.audit.proof import Gap, Kind, Proof, prove
from domain.audit.stored_tree import StoredTreeCheck
from domain.audit.tree_head import HeadsInvalid, TreeHead, read_heads
from service.checks import Check, Finding
from service.cli.scaling_words import number

#: Is told how far a check has come: so many of so many steps (counts).
Progress = Callable[[int, int], None]


def heads_in(file: Path) -> Sequence[TreeHead]:
    """Read a file of tree heads. Raises :class:`HeadsInvalid`, also where there is none in it."""
    try:
        with file.open("rb") as lines:
            heads = list(read_heads(lines, str(file)))
    except OSError as error:
        raise HeadsInvalid(f"--heads {file} cannot be read: {error.strerror}") from None
    if not heads:
        raise HeadsInvalid(f"--heads {file} holds no tree head")
    return heads


def check_heads(heads: Sequence[TreeHead], key: PublicKey | None) -> Check:
    """Whether heads are signed, if there is a ``key``, and do not contradict each other."""
    differences = []
    for head in heads if key is not None else ():
        if key is not None and not is_signed(head, key):
            what = "is not signed" if head.signature is None else "has a signature of another key, or was changed"
            differences.append(_of_head("not-signed", head, f"the head of {head.size} events {what}"))
    differences += _contradictions(heads)
    signatures = "signatures checked" if key else "signatures not checked (no --public-key)"
    return Check(name="heads", holds=f"tree heads: {number(len(heads), 'head')}, {signatures}", findings=differences)


def _contradictions(heads: Sequence[TreeHead]) -> Iterator[Finding]:
    ordered = sorted(heads, key=lambda head: (head.size, head.signed_bytes))
    for size, group in groupby(ordered, key=lambda head: head.size):
        same = list(group)
        for field in ("root", "position"):
            values = {getattr(head, field) for head in same}
            if len(values) > 1:
                what = f"{len(values)} heads of {size} events have different {field}s"
                yield _of_head("contradiction", same[0], what)
    for before, after in pairwise(ordered):
        if before.size < after.size and before.position >= after.position:
            what = f"the head of {after.size} events ends no later than that of {before.size}, at {before.position}"
            yield _of_head("contradiction", after, what)


def is_signed(head: TreeHead, key: PublicKey) -> bool:
    """Whether the head was signed with the key."""
    return head.signature is not None and key.has_signed(head.signature, head.signed_bytes)


def check_log(store: TreeStore, heads: Sequence[TreeHead], progress: Progress) -> Iterator[Check]:
    """Hold all events against the heads and the stored tree. Raises what the store raises.

    A stored tree that cannot be read is a finding, and the events are held against the heads alone. Where there are
    neither heads nor a tree there is nothing to hold them against, and no check.
    """
    total = max((head.size for head in heads), default=0)
    done = 0

    def heard(rows: int) -> None:
        nonlocal done
        done += rows
        progress(done, max(total, done))

    stored = StoredTreeCheck(store.tile)
    unusable = []
    try:
        if not heads and not store.tile_spans():
            return
        proof = prove(heads, log_leaves(store, heard), tree_leaves(store, stored))
    except TreeUnusable as damage:
        unusable, done = [Finding(where="tree", message=str(damage), kind="damaged")], 0
        proof = prove(heads, log_leaves(store, heard), ())
    yield _of_log(proof, "the heads have" if heads else "the stored tree has")
    tree = _of_tree(proof, stored)
    yield replace(tree, findings=[*unusable, *tree.findings])


def _of_log(proof: Proof, as_what: str) -> Check:
    differences = [_difference(gap, is_proven=proven) for gap, proven in proof.log_gaps()]
    differences += [_unlocated(gap, proof) for gap in proof.unlocated]
    for head, position in proof.log.misplaced:
        what = f"the head of {head.size} events says that they end at position {head.position}; they end at {position}"
        differences.append(_found("head-position", what, position, position))
    proven = proof.log.proven
    until = (
        f"proven up to position {proof.log.proven_end} ({number(proven.size, 'event')})" if proven else "nothing proven"
    )
    said = f"{number(proof.log.size, 'event')}, {until}"
    return Check(
        name="log",
        holds=f"the log is as {as_what} it: {said}",
        findings=differences,
        remark=f"{proof.more} more are not listed" if proof.more else "",
    )


def _of_tree(proof: Proof, stored: StoredTreeCheck) -> Check:
    differences = [
        _found(
            "tree-differs",
            f"the stored tree is wrong for {number(gap.events, 'event')} which the heads prove to be in the log",
            gap.first,
            gap.last,
        )
        for gap in proof.tree_gaps()
    ]
    missing = proof.log.proven_size - proof.tree.size
    if missing > 0:
        what = f"the stored tree lacks {number(missing, 'event')} which the heads prove to be in the log"
        differences.append(_found("tree-incomplete", what, None, None))
    for fault in stored.faults:
        where = f"tile {fault.index} of level {fault.level}"
        what = f"the stored tree differs from the log: {where} {fault.what}"
        differences.append(Finding(where=where, message=what, kind="tile"))
    size = number(proof.tree.size, "event")
    return Check(
        name="tree",
        holds=f"the stored tree is as the log has it: {size}",
        findings=differences,
        remark=f"{number(stored.more, 'tile')} more are not listed" if stored.more else "",
    )


def _difference(gap: Gap, *, is_proven: bool) -> Finding:
    words = {
        Kind.ALTERED: "is not what it was" if gap.events == 1 else "are not what they were",
        Kind.REMOVED: "is missing" if gap.events == 1 else "are missing",
        Kind.INSERTED: "was not there" if gap.events == 1 else "were not there",
    }
    what = f"{number(gap.events, 'event')} {words.get(gap.kind, '')}"
    if not is_proven:
        what += "; only the stored tree says so, no head that agrees with it goes as far"
    return _found(gap.kind, what, gap.first, gap.last)


def _unlocated(gap: Gap, proof: Proof) -> Finding:
    head = proof.log.unreached if gap.kind is Kind.CUT else proof.log.refuted
    size = head.size if head else 0
    if gap.kind is Kind.CUT:
        what = (
            f"the log ends at position {proof.log.end} after {number(proof.log.size, 'event')}; there is a head of "
            f"{number(size, 'event')}"
        )
    elif gap.kind is Kind.UNPROVEN:
        what = f"no head tells whether {number(gap.events, 'event')} before the cut are what they were"
    else:
        what = f"somewhere here events were altered, removed or inserted: the head of {number(size, 'event')} disagrees"
    return _found(gap.kind, what, gap.first, gap.last)


def _of_head(kind: str, head: TreeHead, what: str) -> Finding:
    return _found(kind, what, head.position, head.position)


def _found(kind: str, what: str, first: int | None, last: int | None) -> Finding:
    where = kind if first is None else f"{kind}, position {first}" if first == last else f"{kind}, {first} to {last}"
    return Finding(where=where, message=what, kind=kind, first=first, last=last)
