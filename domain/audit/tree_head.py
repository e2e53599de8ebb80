"""Tree heads: what is kept elsewhere, so that a log can be held against it later."""

from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, ValidationError

from domain.audit.merkle import HASH_BYTES
from domain.audit.unambiguous_json import read_json
from domain.errors import RoutekeeperError
from domain.message import Message, Moment

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

#: The largest number that a database keeps.
_MOST: Final = 2**63 - 1


def _from_base64(value: object) -> object:
    return b64decode(value, validate=True) if isinstance(value, str) else value


#: Bytes that stand in JSON as base64, on one line.
Base64 = Annotated[
    bytes,
    BeforeValidator(_from_base64),
    PlainSerializer(lambda data: b64encode(data).decode(), return_type=str, when_used="json"),
]


class HeadsInvalid(RoutekeeperError):
    """A line that is no tree head; the message names it."""


class TreeHead(Message):
    """The log's first ``size`` events have this ``root`` (hexadecimal); the last of them stands at ``position``.

    ``signature`` is Ed25519 over :attr:`signed_bytes`.
    """

    format: Literal["routekeeper-tree-head/1"] = "routekeeper-tree-head/1"
    size: Annotated[int, Field(ge=1, le=_MOST)]
    position: Annotated[int, Field(ge=1, le=_MOST)]
    root: Annotated[str, Field(pattern=f"^[0-9a-f]{{{2 * HASH_BYTES}}}$")]
    at: Moment
    signature: Base64 | None = None

    @property
    def root_bytes(self) -> bytes:
        """The root as a hash."""
        return bytes.fromhex(self.root)

    def signed(self, signature: bytes) -> "TreeHead":
        """The same with a signature."""
        return self.model_copy(update={"signature": signature})

    @property
    def signed_bytes(self) -> bytes:
        """Everything but the signature, a value a line; the time in microseconds since 1970 (UTC)."""
        microseconds = (self.at - _EPOCH) // _MICROSECOND
        return f"{self.format}\n{self.size}\n{self.position}\n{self.root}\n{microseconds}\n".encode()


def head_line(head: TreeHead) -> str:
    """A tree head as a line of JSON, without the line's end."""
    return head.model_dump_json()


def read_heads(lines: Iterable[str | bytes], name: str) -> Iterator[TreeHead]:
    """Read tree heads, one a line; ``name`` says where from. Raises :class:`HeadsInvalid`."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            head = TreeHead.model_validate_json(line)
            read_json(line)
        except ValidationError as error:
            problem = error.errors()[0]
            field = ".".join(map(str, problem["loc"]))
            shown = f"{problem['input']!r:.80}"
            raise HeadsInvalid(f"{name}, line {number}: {field or 'line'}: {problem['msg']} (it is {shown})") from None
        except ValueError as error:
            raise HeadsInvalid(f"{name}, line {number}: {error}") from None
        yield head
