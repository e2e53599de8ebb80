"""Writes bundles: events with the proofs that they are in the log."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import Literal, TextIO
from uuid import UUID

from adapters.event_store.tree_store import LogRow, TreeStore
from domain.audit.bundle import BundleEnd, BundleEvent, BundleHeader, decoded_leaf
from domain.audit.leaf import LeafInvalid, parse_leaf
from domain.audit.merkle import inclusion_proof, leaf_hash, verify_inclusion
from domain.audit.tiles import TiledTree
from service.cli.errors import NotExported

_AT_ONCE = 500
_HINT = "run 'routekeeper audit verify'"


def export_bundle(store: TreeStore, header: BundleHeader, file: Path, heard: Callable[[int], None]) -> int:
    """Write all events that the ``header`` asks for, and give how many; ``heard`` is told the position now and again.

    A regular file is there whole or not at all, and where ``file`` is a link, it is what the link leads to. Raises
    :class:`NotExported`, also for an event that the head does not prove, and what the store raises.
    """
    try:
        with _opened(file) as out:
            out.write(header.model_dump_json() + "\n")
            events = 0
            for event in _events(store, header, heard):
                out.write(event.model_dump_json() + "\n")
                events += event.kind == "event"
            out.write(BundleEnd(events=events).model_dump_json() + "\n")
    except OSError as error:
        raise NotExported(f"{file} cannot be written: {error.strerror}") from None
    return events


@contextmanager
def _opened(file: Path) -> Iterator[TextIO]:
    """Open for writing; what is no regular file, such as a pipe, cannot be replaced and is written to directly."""
    if file.exists() and not file.is_file():
        with file.open("w", encoding="utf-8") as out:
            yield out
        return
    target = Path(os.path.realpath(file))
    partial = target.with_name(f"{target.name}.{token_hex(4)}.partial")
    try:
        with partial.open("x", encoding="utf-8") as out:
            yield out
        partial.replace(target)
    finally:
        # Where it could not be made, it cannot be removed either.
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def _events(store: TreeStore, header: BundleHeader, heard: Callable[[int], None]) -> Iterator[BundleEvent]:
    """Those that were asked for, between the one right before them and the one right behind."""
    tree = TiledTree(header.head.size, store.tile)
    first, last = header.from_position, header.to_position
    before: LogRow | None = None
    for row in _rows(store, header.deployment, _position_before(tree, first)):
        if row.position < first:
            before = row
            continue
        if before is not None:
            yield _event(before, tree, header)
            before = None
        if row.position <= header.head.position:
            yield _event(row, tree, header)
        if row.position > last:
            return
        heard(row.position)
    if before is not None:
        yield _event(before, tree, header)


def _position_before(tree: TiledTree, first: int) -> int:
    leaves = tree.leaves_before(first)
    return tree.position_at(leaves - 1) if leaves else first


def _rows(store: TreeStore, deployment: UUID | None, first: int) -> Iterator[LogRow]:
    """All rows from position ``first`` on, or all of a deployment."""
    after = 0 if deployment is not None else first - 1
    while True:
        if deployment is None:
            rows = store.rows(after=after, limit=_AT_ONCE)
        else:
            rows = store.stream_rows(deployment, after=after, limit=_AT_ONCE)
        yield from rows
        if len(rows) < _AT_ONCE:
            return
        after = rows[-1].position if deployment is None else _leaf_version(rows[-1])


def _leaf_version(row: LogRow) -> int:
    return parse_leaf(row.data).version


def _event(row: LogRow, tree: TiledTree, header: BundleHeader) -> BundleEvent:
    index, head = tree.index_of(row.position), header.head
    if index is None:
        raise NotExported(f"the event at position {row.position} is not in the stored tree: {_HINT}")
    proof = inclusion_proof(index, head.size, tree.node)
    if not verify_inclusion(leaf_hash(row.data), index, head.size, proof, head.root_bytes):
        raise NotExported(f"the event at position {row.position} is not what it was: {_HINT}")
    try:
        decoded = decoded_leaf(parse_leaf(row.data))
    except LeafInvalid as error:
        raise NotExported(f"the event at position {row.position} cannot be shown: {error}") from None
    is_asked_for = header.from_position <= row.position <= header.to_position
    kind: Literal["event", "neighbour"] = "event" if is_asked_for else "neighbour"
    return BundleEvent(
        kind=kind, leaf=index, data=row.data, decoded=dict(decoded), proof=tuple(each.hex() for each in proof)
    )
