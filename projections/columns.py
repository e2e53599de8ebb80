"""The column types of views, chosen so that PostgreSQL and SQLite hold, order and compare the same values."""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Boolean, Column, DateTime, Dialect, Integer, Text, TypeDecorator
from sqlalchemy.types import TypeEngine

#: Text that is ordered by code point: PostgreSQL's default collation would order it by the server's language.
WORD = Text().with_variant(Text(collation="C"), "postgresql")

_EARLIEST = datetime.min.replace(tzinfo=UTC)
_LATEST = datetime.max.replace(tzinfo=UTC)


class Instant(TypeDecorator[datetime]):
    """A moment in UTC to the microsecond; on SQLite as ISO 8601 text of one length, which orders as moments do."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | str | None:
        if value is None or dialect.name != "sqlite":
            return value
        return iso(value)

    def process_result_value(self, value: datetime | str | None, _dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return as_utc(datetime.fromisoformat(value) if isinstance(value, str) else value)


# The moment of an event is in several columns: remembered, it is written at a tenth of the time from the second on.
@lru_cache(maxsize=10_000)
def iso(moment: datetime) -> str:
    """Write a moment as ISO 8601 in UTC, always with six decimal places."""
    in_utc = moment if moment.tzinfo is UTC else as_utc(moment)
    return in_utc.isoformat(timespec="microseconds")


def as_utc(moment: datetime) -> datetime:
    """Give the same moment in UTC, or the nearest one that can be written there."""
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        # Local times within a day of year 1 or 9999, which a sender may make up.
        return _EARLIEST if moment.year == _EARLIEST.year else _LATEST


def make_storable(row: dict[str, Any]) -> None:
    """Put what both databases can hold in place of what one cannot: text without NUL, moments in UTC."""
    for name, value in row.items():
        kind = type(value)
        if kind is str:
            if "\0" in value:
                row[name] = value.replace("\0", "\N{SYMBOL FOR NULL}")
        elif kind is datetime and value.tzinfo is not UTC:
            row[name] = as_utc(value)


def word(name: str, *, key: bool = False, nullable: bool = False) -> Column[str]:
    """A column of text that is ordered by code point; with ``key`` part of the primary key."""
    return Column(name, WORD, primary_key=key, nullable=nullable)


def instant(name: str, *, nullable: bool = False) -> Column[datetime]:
    """A column of moments."""
    return Column(name, Instant, nullable=nullable)


def count(name: str, *, nullable: bool = False) -> Column[int]:
    """A column of numbers of things."""
    return Column(name, Integer, nullable=nullable)


def flag(name: str) -> Column[bool]:
    """A column that is true or false."""
    return Column(name, Boolean, nullable=False)
