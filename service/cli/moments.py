"""Moments and lengths of time as people write and read them. All times are UTC, also those given without a zone."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import typer

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_LENGTH = re.compile(r"(?P<number>\d{1,9}(?:\.\d{1,6})?)\s*(?P<unit>[smhd])")
_ACCEPTED = "ISO 8601 such as 2026-03-01T03:12:00Z (UTC where no zone is given)"


@dataclass(frozen=True, slots=True)
class LogPoint:
    """A point of the log: a ``position``, or else a ``moment``."""

    position: int | None = None
    moment: datetime | None = None

    @property
    def in_words(self) -> str:
        """The point as people write it."""
        return f"position {self.position}" if self.moment is None else f"{shown(self.moment)} UTC"


def check_order(since: LogPoint | None, until: LogPoint | None) -> None:
    """Raise ``typer.BadParameter`` where a span ends before it begins, as far as can be told without the log."""
    if since is None or until is None:
        return
    moments = since.moment is not None and until.moment is not None and until.moment < since.moment
    if moments or (since.position is not None and until.position is not None and until.position < since.position):
        raise reversed_span(since, until)


def reversed_span(since: LogPoint, until: LogPoint) -> typer.BadParameter:
    """What is wrong with a span that ends before it begins."""
    return typer.BadParameter(f"--to {until.in_words} is before --from {since.in_words}")


def now() -> datetime:
    """The time now, by the machine's clock."""
    return datetime.now(UTC)


def past_moment(text: str) -> datetime:
    """Read a moment: ISO 8601, or how long ago, such as ``5m`` or ``5m ago``."""
    return _moment(text.strip().removesuffix("ago"), -1, f"{_ACCEPTED}, or how long ago, such as 5m or 2h")


def future_moment(text: str) -> datetime:
    """Read a moment: ISO 8601, or in how long, such as ``30m`` or ``in 30m``."""
    return _moment(text.strip().removeprefix("in "), 1, f"{_ACCEPTED}, or in how long, such as 30m or 2h")


def log_point(text: str) -> LogPoint:
    """Read a position (an integer), or a moment as :func:`past_moment` does."""
    if text.strip().isdecimal():
        return LogPoint(position=int(text))
    return LogPoint(moment=past_moment(text))


def _moment(text: str, direction: int, accepted: str) -> datetime:
    text = text.strip()
    try:
        if length := _LENGTH.fullmatch(text):
            seconds = float(length["number"]) * _SECONDS[length["unit"]]
            return now() + direction * timedelta(seconds=seconds)
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"{text!r} is no time: give {accepted}") from None


def shown(moment: datetime) -> str:
    """Write a moment for people, in UTC to the second."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def length(seconds: float) -> str:
    """Write a length of time in its largest fitting unit: ``90s``, ``15m``, ``3h``, ``12d``."""
    whole = max(0, int(seconds))
    for unit, size in reversed(_SECONDS.items()):
        if unit == "s" or whole >= 2 * size:
            return f"{whole // size}{unit}"
    raise AssertionError  # pragma: no cover - seconds fit any length


def age(since: datetime, at: datetime) -> str:
    """Write how long before ``at`` a moment was."""
    return length((at - since).total_seconds())


def ago(moment: datetime, at: datetime) -> str:
    """Write a moment with how long before ``at`` it was, or in how long it will be."""
    distance = (at - moment).total_seconds()
    return f"{shown(moment)} UTC ({f'{length(distance)} ago' if distance >= 0 else f'in {length(-distance)}'})"
