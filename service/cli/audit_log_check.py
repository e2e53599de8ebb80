"""The checks that hold the log against tree heads."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from adapters.event_store.tree_reading import log_leaves, tree_leaves
from adapters.event_store.tree_store import TreeStore
from adapters.signatures import PublicKey
from domain.audit.proof import Gap, Kind, Proof, prove
from domain.audit.tree_head import HeadsInvalid, TreeHead, read_heads
from service.cli.audit_checks import AuditDifference, CheckResult, Progress
from service.cli.scaling_words import number


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


def check_heads(heads: Sequence[TreeHead], key: PublicKey | None) -> CheckResult:
    """Whether heads are signed, if there is a ``key``, and do not contradict each other."""
    differences = []
    for head in heads if key is not None else ():
        if key is not None and not is_signed(head, key):
            what = "is not signed" if head.signature is None else "has a signature of another key, or was changed"
            differences.append(_of_head("not-signed", head, f"the head of {head.size} events {what}"))
    by_size = groupby(sorted(heads, key=lambda head: head.size), key=lambda head: head.size)
    for size, same in by_size:
        roots = {head.root: head for head in same}
        if len(roots) > 1:
            what = f"{len(roots)} heads of {size} events have different roots"
            differences.append(_of_head("contradiction", next(iter(roots.values())), what))
    signatures = "signatures checked" if key else "signatures not checked (no --public-key)"
    return CheckResult(check="heads", said=f"{number(len(heads), 'head')}, {signatures}", differences=differences)


def is_signed(head: TreeHead, key: PublicKey) -> bool:
    """Whether the head was signed with the key."""
    return head.signature is not None and key.has_signed(head.signature, head.signed_bytes)


def check_log(store: TreeStore, heads: Sequence[TreeHead], progress: Progress) -> Iterator[CheckResult]:
    """Hold all events against the heads and the stored tree. Raises what the store raises."""
    total = max((head.size for head in heads), default=0)
    done = 0

    def heard(rows: int) -> None:
        nonlocal done
        done += rows
        progress(done, max(total, done))

    proof = prove(heads, log_leaves(store, heard), tree_leaves(store))
    yield _of_log(proof)
    yield _of_tree(proof)


def _of_log(proof: Proof) -> CheckResult:
    differences = [_difference(gap, is_proven=proven) for gap, proven in proof.log_gaps()]
    unlocated = proof.unlocated
    if unlocated is not None:
        differences.append(_unlocated(unlocated, proof))
    proven = proof.log.proven
    until = f"proven up to position {proven.position} ({number(proven.size, 'event')})" if proven else "nothing proven"
    said = f"{number(proof.log.size, 'event')}, {until}"
    return CheckResult(check="log", said=said, differences=differences, more=proof.more)


def _of_tree(proof: Proof) -> CheckResult:
    differences = [
        AuditDifference(
            kind="tree-differs",
            what=f"the stored tree is wrong for {number(gap.events, 'event')} which the heads prove to be in the log",
            first=gap.first,
            last=gap.last,
        )
        for gap in proof.tree_gaps()
    ]
    return CheckResult(check="tree", said=f"{proof.tree.size} leaves stored", differences=differences)


def _difference(gap: Gap, *, is_proven: bool) -> AuditDifference:
    words = {
        Kind.ALTERED: "is not what it was" if gap.events == 1 else "are not what they were",
        Kind.REMOVED: "is missing" if gap.events == 1 else "are missing",
        Kind.INSERTED: "was not there" if gap.events == 1 else "were not there",
    }
    what = f"{number(gap.events, 'event')} {words.get(gap.kind, '')}"
    if not is_proven:
        what += "; only the stored tree says so, no head that agrees with it goes as far"
    return AuditDifference(kind=gap.kind, what=what, first=gap.first, last=gap.last, is_proven=is_proven)


def _unlocated(gap: Gap, proof: Proof) -> AuditDifference:
    refuted = proof.log.refuted
    size = refuted.size if refuted else 0
    if gap.kind is Kind.CUT:
        what = (
            f"the log ends at position {proof.log.end} after {number(proof.log.size, 'event')}; there is a head of "
            f"{number(size, 'event')}"
        )
    else:
        what = f"somewhere here events were altered, removed or inserted: the head of {number(size, 'event')} disagrees"
    return AuditDifference(kind=gap.kind, what=what, first=gap.first, last=gap.last)


def _of_head(kind: str, head: TreeHead, what: str) -> AuditDifference:
    return AuditDifference(kind=kind, what=what, first=head.position, last=head.position)
