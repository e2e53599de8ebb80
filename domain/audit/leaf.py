"""What a leaf of the log's tree holds: everything that matters of a stored event, in bytes that mean nothing else.

A format byte, position, stream id, version, length and text of the type, length and bytes of the stored state; numbers
are unsigned and big-endian, text is UTF-8. The same event has the same bytes in every store.
"""

from collections.abc import Sequence
from hashlib import sha256
from struct import Struct, error
from typing import Final, NamedTuple
from uuid import UUID

from domain.audit.merkle import leaf_hash
from domain.errors import RoutekeeperError

_FORMAT: Final = 1
_HEAD: Final = Struct(">BQ16sQI")
_LENGTH: Final = Struct(">I")
_ID_BYTES: Final = 16
# The same with the byte 0 that stands before every leaf when it is hashed: together with the format one number.
_HASHED_HEAD: Final = Struct(">HQ16sQI")

#: Stands for the hash of a row that is no event.
NO_EVENT: Final = leaf_hash(b"")


class LeafInvalid(RoutekeeperError):
    """Bytes that are no leaf, or a row that cannot become one."""


class Leaf(NamedTuple):
    """A stored event: ``topic`` is the name of its type, ``state`` its stored bytes."""

    position: int
    stream_id: UUID
    version: int
    topic: str
    state: bytes


class Columns(NamedTuple):
    """Rows of the log in order, column by column: ids are 16 bytes, types UTF-8; a damaged row has anything."""

    positions: Sequence[int]
    stream_ids: Sequence[bytes]
    versions: Sequence[int]
    topics: Sequence[bytes]
    states: Sequence[bytes]


def leaf_hashes(rows: Columns) -> bytes:
    """The hashes of many leaves in a row; :data:`NO_EVENT` for each row that is none."""
    if set(map(len, rows.stream_ids)) <= {_ID_BYTES}:
        head, length, begin = _HASHED_HEAD.pack, _LENGTH.pack, _FORMAT
        try:
            # One expression without a call of ours: half of the time that a verification takes goes by here.
            return b"".join(
                [
                    sha256(
                        head(begin, position, stream_id, version, len(topic)) + topic + length(len(state)) + state
                    ).digest()
                    for position, stream_id, version, topic, state in zip(*rows, strict=True)
                ]
            )
        except (error, TypeError, OverflowError):
            pass  # one of them is no event: which one is told row by row
    return b"".join([_hash_or_none(*row) for row in zip(*rows, strict=True)])


def _hash_or_none(position: int, stream_id: bytes, version: int, topic: bytes, state: bytes) -> bytes:
    try:
        return leaf_hash(leaf_bytes(position, stream_id, version, topic, state))
    except LeafInvalid:
        return NO_EVENT


def leaf_bytes(position: int, stream_id: bytes, version: int, topic: bytes, state: bytes) -> bytes:
    """The bytes of a leaf. Raises :class:`LeafInvalid` where a value does not fit, as only a damaged row's would."""
    try:
        if len(stream_id) != _ID_BYTES:  # packing would cut or fill up silently
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
