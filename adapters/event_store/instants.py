"""Moments as whole microseconds since 1970."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def microseconds_of(moment: datetime) -> int:
    """How many microseconds a moment is behind the beginning of 1970 (UTC)."""
    return (moment - _EPOCH) // _MICROSECOND


def checked_moment_of(microseconds: object) -> datetime:
    """The same of what is stored, where anything may have been planted. Raises :class:`ValueError`."""
    if isinstance(microseconds, int):
        with suppress(OverflowError):
            return moment_of(microseconds)
    raise ValueError(f"{microseconds!r:.80} is no moment")


def moment_of(microseconds: int) -> datetime:
    """The moment, in UTC."""
    return _EPOCH + microseconds * _MICROSECOND
