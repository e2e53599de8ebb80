"""Whole columns as parameters of a statement, in PostgreSQL's binary format.

psycopg writes arrays element by element in Python. Written here in one go, the columns of 200 events take 2 ms less,
of a commit that takes 2.5 ms as a whole.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from struct import pack
from typing import ClassVar, Final
from uuid import UUID

from psycopg.abc import AdaptContext
from psycopg.adapt import Dumper
from psycopg.pq import Format

_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

#: An element that is none has a length of -1.
_NULL: Final = pack("!i", -1)


class Array:
    """An array in the bytes that the server takes; each type of elements is a class of its own."""

    __slots__ = ("data",)

    #: The server's numbers of the type, and of its elements'.
    oid: ClassVar[int]
    element_oid: ClassVar[int]

    def __init__(self, elements: Sequence[bytes | None]) -> None:
        kind, has_nulls = self.element_oid, None in elements
        header = pack("!IIIII", 1, has_nulls, kind, len(elements), 1) if elements else pack("!III", 0, 0, kind)
        self.data = header + b"".join([_NULL if each is None else pack("!I", len(each)) + each for each in elements])


class _Uuids(Array):
    oid, element_oid = 2951, 2950


class _Bigints(Array):
    oid, element_oid = 1016, 20


class _Booleans(Array):
    oid, element_oid = 1000, 16


class _Texts(Array):
    oid, element_oid = 1009, 25


class _Byteas(Array):
    oid, element_oid = 1001, 17


class _Instants(Array):
    oid, element_oid = 1185, 1184


def uuids(values: Iterable[UUID | str]) -> Array:
    """Make a ``uuid[]``."""
    return _Uuids([(value if isinstance(value, UUID) else UUID(value)).bytes for value in values])


def bigints(values: Iterable[int | None]) -> Array:
    """Make a ``bigint[]``."""
    return _Bigints([None if value is None else pack("!q", value) for value in values])


def booleans(values: Iterable[bool]) -> Array:
    """Make a ``boolean[]``."""
    return _Booleans([pack("!?", value) for value in values])


def texts(values: Iterable[str | None]) -> Array:
    """Make a ``text[]``."""
    return _Texts([None if value is None else value.encode() for value in values])


def byteas(values: Iterable[bytes]) -> Array:
    """Make a ``bytea[]``."""
    return _Byteas(list(values))


def instants(values: Iterable[datetime | None]) -> Array:
    """Make a ``timestamptz[]``."""
    return _Instants([None if value is None else pack("!q", (value - _EPOCH) // _MICROSECOND) for value in values])


class _ArrayDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: Array) -> bytes:
        return obj.data


def register_arrays(context: AdaptContext) -> None:
    """Let a connection take :class:`Array` as a parameter."""
    for kind in Array.__subclasses__():
        context.adapters.register_dumper(kind, type(f"{kind.__name__}Dumper", (_ArrayDumper,), {"oid": kind.oid}))
