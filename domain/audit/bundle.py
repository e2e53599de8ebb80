"""Bundles: events of a log in one file with the proofs that they are in it, to be checked without a database.

Lines of JSON: a header, events, an end. ``docs/tamper-evidence.md`` describes them.
"""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal, NoReturn
from uuid import UUID

from pydantic import Field, TypeAdapter, ValidationError

from domain.audit.leaf import Leaf, LeafInvalid, parse_leaf
from domain.audit.merkle import leaf_hash, verify_inclusion
from domain.audit.tree_head import Base64, TreeHead
from domain.message import Message

#: Most errors that are listed (count); what comes after is only counted.
MAX_ERRORS: Final = 1000

_Hash = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class BundleHeader(Message):
    """The tree ``head`` that proofs lead to, and what was asked for: positions, and a deployment (``None``: all)."""

    kind: Literal["header"] = "header"
    format: Literal["routekeeper-audit-bundle/1"] = "routekeeper-audit-bundle/1"
    head: TreeHead
    deployment: UUID | None
    from_position: int
    to_position: int


class BundleEvent(Message):
    """An event: ``data`` is its leaf, ``decoded`` the same for people, ``proof`` leads from there to the head."""

    kind: Literal["event"] = "event"
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
    """What came of a check: the header, events (count), errors with the numbers of their lines, and ``more`` beyond."""

    header: BundleHeader | None = None
    events: int = 0
    errors: list[tuple[int, str]] = field(default_factory=list)
    more: int = 0

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
    order: _Order | None = None
    end: BundleEnd | None = None
    number = 0
    for number, line in enumerate(lines, 1):
        if end is not None:
            report.add(number, "there is something behind the end")
            return report
        match _read(line, number, report):
            case BundleHeader() as header if order is None:
                report.header, order = header, _Order(header)
                report.add_all(number, _head_errors(header.head, is_signed, known_heads))
            case BundleEvent() as event if order is not None:
                report.events += 1
                report.add_all(number, _event_errors(event, order))
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
    elif order is not None and (missing := order.missing_at_end()):
        report.add(number, missing)
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


def _event_errors(event: BundleEvent, order: "_Order") -> Iterator[str]:
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
    head, proof = order.header.head, [bytes.fromhex(each) for each in event.proof]
    if not verify_inclusion(leaf_hash(event.data), event.leaf, head.size, proof, head.root_bytes):
        yield f"{name}: is not leaf {event.leaf} of the tree with root {head.root}"
    yield from (f"{name}: {wrong}" for wrong in order.errors(leaf, event.leaf))


class _Order:
    """Whether events follow each other without one missing in between."""

    def __init__(self, header: BundleHeader) -> None:
        self.header = header
        self._last: tuple[int, int, int] | None = None

    def errors(self, leaf: Leaf, index: int) -> Iterator[str]:
        header, last = self.header, self._last
        if not header.from_position <= leaf.position <= header.to_position:
            yield f"is not between positions {header.from_position} and {header.to_position}"
        if last is not None and (leaf.position <= last[0] or index <= last[1]):
            yield f"stands behind position {last[0]}, leaf {last[1]}"
        if header.deployment is not None:
            yield from self._errors_of_stream(leaf, header.deployment)
        elif last is not None and index != last[1] + 1:
            yield f"leaf {last[1] + 1} is missing before leaf {index}"
        elif last is None and header.from_position <= 1 and index:
            yield f"{index} leaves are missing before leaf {index}"
        self._last = (leaf.position, index, leaf.version)

    def _errors_of_stream(self, leaf: Leaf, deployment: UUID) -> Iterator[str]:
        if leaf.stream_id != deployment:
            yield f"is not of deployment {deployment}"
        if self._last is not None and leaf.version != self._last[2] + 1:
            yield f"version {self._last[2] + 1} is missing before version {leaf.version}"
        elif self._last is None and self.header.from_position <= 1 and leaf.version != 1:
            yield f"the first version is {leaf.version}, not 1"

    def missing_at_end(self) -> str | None:
        header = self.header
        is_to_the_end = header.deployment is None and header.to_position >= header.head.position
        last = -1 if self._last is None else self._last[1]
        if is_to_the_end and last != header.head.size - 1:
            return f"leaves {last + 1} to {header.head.size - 1} are missing at the end"
        return None


def _json(data: bytes) -> Any:  # noqa: ANN401 - as JSON is
    """Read JSON that means the same to every reader."""
    try:
        return json.loads(data, object_pairs_hook=_object, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise LeafInvalid(f"these {len(data)} bytes are no JSON: {error}") from None


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in an object")
    return found


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number")


def _plain(value: object) -> str:
    """The same text for the same value; unlike by ``==``, 1, 1.0 and true are three values."""
    return json.dumps(value, sort_keys=True)
