"""Bundles: events of a log in one file with the proofs that they are in it, to be checked without a database.

Lines of JSON: a header, events, an end. ``docs/tamper-evidence.md`` describes them.
"""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import Field, TypeAdapter, ValidationError

from domain.audit.bundle_range import AskedFor, BundleRange
from domain.audit.leaf import Leaf, LeafInvalid, parse_leaf
from domain.audit.merkle import leaf_hash, verify_inclusion
from domain.audit.tree_head import Base64, TreeHead
from domain.audit.unambiguous_json import read_json
from domain.message import Message

#: Most errors that are listed (count); what comes after is only counted.
MAX_ERRORS: Final = 1000

_Hash = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class BundleHeader(Message):
    """The tree ``head`` that proofs lead to, and what was asked for: positions, and a deployment (``None``: all)."""

    kind: Literal["header"] = "header"
    format: Literal["routekeeper-audit-bundle/1", "routekeeper-audit-bundle/2"] = "routekeeper-audit-bundle/2"
    head: TreeHead
    deployment: UUID | None
    from_position: int
    to_position: int

    @property
    def asked_for(self) -> AskedFor:
        """What events there must be."""
        is_stream, has_neighbours = self.deployment is not None, not self.format.endswith("/1")
        return AskedFor(self.head, is_stream, self.from_position, self.to_position, has_neighbours)


class BundleEvent(Message):
    """An event: ``data`` is its leaf, ``decoded`` the same for people, ``proof`` leads from there to the head.

    A neighbour is the one right before or behind what was asked for, which shows that none is missing there.
    """

    kind: Literal["event", "neighbour"] = "event"
    leaf: Annotated[int, Field(ge=0)]
    data: Base64
    decoded: dict[str, Any]
    proof: Annotated[tuple[_Hash, ...], Field(max_length=64)]


class BundleEnd(Message):
    """How many events (count) there were, so that a file that was cut is not taken for a whole one."""

    kind: Literal["end"] = "end"
    events: Annotated[int, Field(ge=0)]


_LINE: Final[TypeAdapter[BundleHeader | BundleEvent | BundleEnd]] = TypeAdapter(
    Annotated[BundleHeader | BundleEvent | BundleEnd, Field(discriminator="kind")]
)


def decoded_leaf(leaf: Leaf) -> Mapping[str, Any]:
    """What people read of a leaf. Raises :class:`LeafInvalid` where the state is no JSON, or ambiguous."""
    return {
        "position": leaf.position,
        "stream_id": str(leaf.stream_id),
        "version": leaf.version,
        "type": leaf.topic,
        "state": _json(leaf.state),
    }


@dataclass(kw_only=True)
class BundleReport:
    """What came of a check: the header, events (count), errors with the numbers of their lines, and ``more`` beyond.

    ``proven`` and ``not_proven`` say in words what the bundle proves; nothing is proven where there are errors.
    """

    header: BundleHeader | None = None
    events: int = 0
    errors: list[tuple[int, str]] = field(default_factory=list)
    more: int = 0
    proven: Sequence[str] = ()
    not_proven: Sequence[str] = ()

    @property
    def ok(self) -> bool:
        """Whether all is as it must be."""
        return not self.errors

    def add(self, line: int, error: str) -> None:
        """Note an error."""
        if len(self.errors) < MAX_ERRORS:
            self.errors.append((line, error))
        else:
            self.more += 1

    def add_all(self, line: int, errors: Iterable[str]) -> None:
        """Note the errors of a line."""
        for error in errors:
            self.add(line, error)


def check_bundle(
    lines: Iterable[bytes],
    *,
    is_signed: Callable[[TreeHead], bool] | None = None,
    known_heads: Collection[TreeHead] | None = None,
) -> BundleReport:
    """Check a bundle line by line.

    ``is_signed`` tells whether a head has the signature that it must have, ``known_heads`` are those kept elsewhere, of
    which the bundle's must be one; ``None``: not checked.
    """
    report = BundleReport()
    order: BundleRange | None = None
    end: BundleEnd | None = None
    number = 0
    for number, line in enumerate(lines, 1):
        if end is not None:
            report.add(number, "there is something behind the end")
            return report
        match _read(line, number, report):
            case BundleHeader() as header if order is None:
                report.header, order = header, BundleRange(header.asked_for)
                report.add_all(number, _head_errors(header.head, is_signed, known_heads))
            case BundleEvent() as event if order is not None and report.header is not None:
                report.events += event.kind == "event"
                report.add_all(number, _event_errors(event, report.header, order))
            case BundleEnd() as end if order is not None:
                if end.events != report.events:
                    report.add(number, f"there should be {end.events} events and there are {report.events}")
            case None:
                pass
            case _:
                report.add(number, "the first line, and no other one, must be the header")
                return report
    if end is None:
        report.add(number, "the end is missing: the file was cut")
    elif order is not None and report.header is not None:
        if missing := order.missing_at_end():
            report.add(number, missing)
        if report.ok:
            size = report.header.head.size
            each = f"each of these {report.events} events is in the log of {size} events that the head is of"
            report.proven, report.not_proven = [each, *order.proven()], list(order.not_proven())
    return report


def _read(line: bytes, number: int, report: BundleReport) -> BundleHeader | BundleEvent | BundleEnd | None:
    try:
        return _LINE.validate_python(_json(line), strict=False)
    except LeafInvalid as error:
        report.add(number, str(error))
    except ValidationError as error:
        problem = error.errors()[0]
        report.add(number, f"{'.'.join(map(str, problem['loc'])) or 'line'}: {problem['msg']}")
    return None


def _head_errors(
    head: TreeHead, is_signed: Callable[[TreeHead], bool] | None, known: Collection[TreeHead] | None
) -> Iterator[str]:
    if is_signed is not None and not is_signed(head):
        yield f"the head of {head.size} events is not signed with this key"
    if known is not None and all(each.signed_bytes != head.signed_bytes for each in known):
        yield f"the head of {head.size} events, root {head.root}, is none of those that are known"


def _event_errors(event: BundleEvent, header: BundleHeader, order: BundleRange) -> Iterator[str]:
    name = f"leaf {event.leaf}"
    try:
        leaf = parse_leaf(event.data)
        name = f"event {leaf.stream_id}:{leaf.version} at position {leaf.position}"
        expected = decoded_leaf(leaf)
    except LeafInvalid as error:
        yield f"{name}: {error}"
        return
    if _plain(expected) != _plain(event.decoded):
        yield f"{name}: what is decoded is not what the data say"
    head, proof = header.head, [bytes.fromhex(each) for each in event.proof]
    if not verify_inclusion(leaf_hash(event.data), event.leaf, head.size, proof, head.root_bytes):
        yield f"{name}: is not leaf {event.leaf} of the tree with root {head.root}"
    if header.deployment not in (None, leaf.stream_id):
        yield f"{name}: is not of deployment {header.deployment}"
    yield from (f"{name}: {wrong}" for wrong in order.take(leaf, event.leaf, is_neighbour=event.kind == "neighbour"))


def _json(data: bytes) -> Any:  # noqa: ANN401 - as JSON is
    """Read JSON that means the same to every reader."""
    try:
        return read_json(data)
    except ValueError as error:
        raise LeafInvalid(f"these {len(data)} bytes are no JSON: {error}") from None


def _plain(value: object) -> str:
    """The same text for the same value; unlike by ``==``, 1, 1.0 and true are three values."""
    return json.dumps(value, sort_keys=True)
