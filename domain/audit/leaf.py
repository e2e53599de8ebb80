"""What a leaf of the log's tree holds: everything that matters of a stored event, in bytes that mean nothing else.

A format byte, position, stream id, version, length and text of the type, length and bytes of the stored state; numbers
are unsigned and big-endian, text is UTF-8. The same event has the same bytes in every store.
"""

from struct import Struct, error
from typing import Final, NamedTuple
from uuid import UUID

from domain.errors import RoutekeeperError

_FORMAT: Final = 1
_HEAD: Final = Struct(">BQ16sQI")
_LENGTH: Final = Struct(">I")


class LeafInvalid(RoutekeeperError):
    """Bytes that are no leaf, or a row that cannot become one."""


class Leaf(NamedTuple):
    """A stored event: ``topic`` is the name of its type, ``state`` its stored bytes."""

    position: int
    stream_id: UUID
    version: int
    topic: str
    state: bytes


def leaf_bytes(position: int, stream_id: bytes, version: int, topic: bytes, state: bytes) -> bytes:
    """The bytes of a leaf. Raises :class:`LeafInvalid` where a value does not fit, as only a damaged row's would."""
    try:
        if len(stream_id) != 16:  # noqa: PLR2004 - a UUID has 16 bytes; packing would cut or fill up silently
            raise LeafInvalid(f"the stream id at position {position} has {len(stream_id)} bytes")
        return b"".join(
            (_HEAD.pack(_FORMAT, position, stream_id, version, len(topic)), topic, _LENGTH.pack(len(state)), state)
        )
    except (error, TypeError, OverflowError) as wrong:
        raise LeafInvalid(f"the row at position {position} is no event: {wrong}") from None


def parse_leaf(data: bytes) -> Leaf:
    """Read the bytes of a leaf. Raises :class:`LeafInvalid` unless they are exactly one."""
    try:
        number, position, stream_id, version, length = _HEAD.unpack_from(data)
        behind_topic = _HEAD.size + length
        topic = data[_HEAD.size : behind_topic].decode()
        (state_length,) = _LENGTH.unpack_from(data, behind_topic)
    except (error, UnicodeDecodeError) as wrong:
        raise LeafInvalid(f"these {len(data)} bytes are no leaf: {wrong}") from None
    state = data[behind_topic + _LENGTH.size :]
    if number != _FORMAT:
        raise LeafInvalid(f"leaf format {number} is not known, only {_FORMAT}")
    if len(state) != state_length:
        raise LeafInvalid(f"the state should have {state_length} bytes and has {len(state)}")
    return Leaf(position, UUID(bytes=stream_id), version, topic, state)
