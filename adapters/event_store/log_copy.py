"""Copying a log from one store to another, whole: events, and all that committed with them, at the same positions.

What is copied and how it is compared stands here; each kind of store reads and writes it in its own way.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from struct import pack
from typing import Final, Protocol
from uuid import UUID

from domain.errors import RoutekeeperError

#: What stands in a row, the same whichever store it comes from: moments are microseconds since 1970, flags 0 or 1.
Value = int | str | bytes | UUID | None


class LogNotCopied(RoutekeeperError):
    """A log was not copied; the target is as it was before."""


class Kind(StrEnum):
    """What a column holds."""

    INTEGER = "integer"
    TEXT = "text"
    BYTES = "bytes"
    ID = "id"
    INSTANT = "instant"
    FLAG = "flag"


@dataclass(frozen=True, slots=True)
class CopiedTable:
    """A table, its columns in order, and how many of them (the first ones) are its key."""

    name: str
    columns: Mapping[str, Kind]
    key: int


#: A value that is none has a length that no other has.
_NOTHING: Final = pack("!i", -1)

#: Everything that a log consists of, in the order in which it is copied.
TABLES: Final = (
    CopiedTable(
        "stored_events",
        {
            "notification_id": Kind.INTEGER,
            "originator_id": Kind.ID,
            "originator_version": Kind.INTEGER,
            "topic": Kind.TEXT,
            "state": Kind.BYTES,
        },
        1,
    ),
    CopiedTable("commits", {"position": Kind.INTEGER, "committed_at": Kind.INSTANT}, 1),
    CopiedTable(
        "positions",
        {
            "topic": Kind.TEXT,
            "epoch": Kind.TEXT,
            "partition": Kind.INTEGER,
            "next": Kind.INTEGER,
            "digest": Kind.TEXT,
        },
        3,
    ),
    CopiedTable(
        "command_outcomes",
        {"source": Kind.TEXT, "id": Kind.TEXT, "outcome": Kind.TEXT, "recorded_at": Kind.INSTANT},
        2,
    ),
    CopiedTable(
        "due_work",
        {
            "deployment_id": Kind.ID,
            "hash": Kind.INTEGER,
            "due_at": Kind.INSTANT,
            "version": Kind.INTEGER,
            "scales": Kind.FLAG,
        },
        1,
    ),
    CopiedTable("followers", {"name": Kind.TEXT, "position": Kind.INTEGER}, 1),
    CopiedTable(
        "metric_samples",
        {
            "id": Kind.INTEGER,
            "deployment_id": Kind.ID,
            "received_at": Kind.INSTANT,
            "newest_at": Kind.INSTANT,
            "samples": Kind.BYTES,
        },
        1,
    ),
    CopiedTable(
        "scaling_evaluations",
        {
            "id": Kind.INTEGER,
            "deployment_id": Kind.ID,
            "at": Kind.INSTANT,
            "version": Kind.INTEGER,
            "watermark": Kind.INSTANT,
            "previous": Kind.INTEGER,
            "recommended": Kind.INTEGER,
            "desired": Kind.INTEGER,
            "memories": Kind.TEXT,
            "samples_until": Kind.INSTANT,
            "resumed": Kind.FLAG,
        },
        1,
    ),
    CopiedTable("retention_horizons", {"name": Kind.TEXT, "before": Kind.INSTANT}, 1),
    CopiedTable(
        "tree_tiles",
        {"level": Kind.INTEGER, "tile": Kind.INTEGER, "hashes": Kind.BYTES, "positions": Kind.BYTES},
        2,
    ),
    CopiedTable(
        "tree_heads",
        {
            "size": Kind.INTEGER,
            "position": Kind.INTEGER,
            "root": Kind.BYTES,
            "at": Kind.INSTANT,
            "signature": Kind.BYTES,
        },
        1,
    ),
)


class LogSource(Protocol):
    """A log as of one moment."""

    def rows(self, table: CopiedTable) -> Iterator[Sequence[Value]]:
        """All rows in the order of their keys, byte by byte."""
        ...


class LogTarget(LogSource, Protocol):
    """A log that is being written; nothing of it is there for others before the end."""

    def write(self, table: CopiedTable, rows: Iterable[Sequence[Value]]) -> None:
        """Write rows into an empty table."""
        ...


class LogPlace(Protocol):
    """Where a log is, or is to be."""

    def read(self) -> AbstractContextManager[LogSource]:
        """Open the log as of now. Raises :class:`LogNotCopied` where there is none."""
        ...

    def write(self) -> AbstractContextManager[LogTarget]:
        """Open the log to be written, creating it; what was written is kept if the block ends without an error."""
        ...


@dataclass(frozen=True, slots=True)
class TableDigest:
    """How many rows a table holds, and the SHA-256 of all of them in hexadecimal."""

    table: str
    rows: int
    digest: str


def copy_log(source: LogPlace, target: LogPlace) -> Sequence[TableDigest]:
    """Copy a log into an empty store, read it back and compare; gives what both sides hold.

    Raises :class:`LogNotCopied` if the target is not empty, if somebody wrote to the source meanwhile, or if anything
    came out differently, and what the databases raise; the target is then as it was before.
    """
    with target.write() as written:
        if filled := [table.name for table in TABLES if next(written.rows(table), None) is not None]:
            raise LogNotCopied(f"the target is not empty: there are rows in {', '.join(filled)}")
        copied = []
        with source.read() as read:
            for table in TABLES:
                digest = _Digest(table.name)
                written.write(table, digest.of(read.rows(table)))
                copied.append(digest.result())
        _compare(copied, digests_of(written), "the target does not hold what was read from the source")
        with source.read() as read:
            _compare(copied, digests_of(read), "somebody wrote to the source while it was copied: stop the workers")
    return copied


def digests_of(log: LogSource) -> Sequence[TableDigest]:
    """Count and digest all rows of a log."""
    digests = []
    for table in TABLES:
        digest = _Digest(table.name)
        for _ in digest.of(log.rows(table)):
            pass
        digests.append(digest.result())
    return digests


def _compare(copied: Sequence[TableDigest], found: Sequence[TableDigest], said: str) -> None:
    different = [mine.table for mine, other in zip(copied, found, strict=True) if mine != other]
    if different:
        raise LogNotCopied(f"{said}; different are {', '.join(different)}")


class _Digest:
    """Every value by its length and its bytes, one after the other, while rows pass."""

    def __init__(self, table: str) -> None:
        self._table = table
        self._count = 0
        self._hash = sha256()

    def of(self, rows: Iterable[Sequence[Value]]) -> Iterator[Sequence[Value]]:
        for row in rows:
            self._count += 1
            self._hash.update(b"".join(map(_canonical, row)))
            yield row

    def result(self) -> TableDigest:
        return TableDigest(self._table, self._count, self._hash.hexdigest())


def _canonical(value: Value) -> bytes:
    match value:
        case None:
            return _NOTHING
        case UUID():
            data = value.bytes
        case bytes():
            data = value
        case _:
            data = str(value).encode()
    return pack("!I", len(data)) + data
