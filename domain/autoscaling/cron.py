"""Cron expressions of five fields, and when they next come true in a time zone.

Minute, hour, day of month, month, day of week (0 and 7 are Sunday), each ``*`` or a list of numbers, ranges and steps
(``*/15``, ``8-18/2``); months and days of week may be written as three letters. A day has to match both day fields if
either is ``*``, else one of them (POSIX ``crontab``, and the parser that KEDA uses).
"""

from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS: Final[tuple[tuple[str, int, int, dict[str, int]], ...]] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of month", 1, 31, {}),
    ("month", 1, 12, {name: number for number, name in enumerate(_MONTHS, 1)}),
    ("day of week", 0, 7, {name: number for number, name in enumerate(_DAYS)}),
)

#: How far ahead a next time is looked for: February 29th comes at the latest after eight years.
_HORIZON_DAYS: Final = 8 * 366 + 1


class Cron(NamedTuple):
    """The values that each field admits; ``either_day`` says that one of the two day fields is enough."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool

    def includes(self, day: date) -> bool:
        """Whether the expression comes true at some time of the day."""
        in_month, in_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return day.month in self.months and (in_month or in_week if self.either_day else in_month and in_week)


@lru_cache(maxsize=4096)
def parse_cron(expression: str) -> Cron:
    """Read an expression. Raises ``ValueError`` naming the field and what it holds."""
    texts = expression.lower().split()
    if len(texts) != len(_FIELDS):
        msg = f"cron expression {expression!r} has {len(texts)} fields, not five: minute, hour, day, month, weekday"
        raise ValueError(msg)
    values = [_values(text, *field) for text, field in zip(texts, _FIELDS, strict=True)]
    minutes, hours, days, months, weekdays = values
    either = texts[2][0] != "*" and texts[4][0] != "*"
    weekdays = {day % 7 for day in weekdays}
    cron = Cron(
        tuple(sorted(minutes)), tuple(sorted(hours)), frozenset(days), frozenset(months), frozenset(weekdays), either
    )
    if not either and min(days) > max(monthrange(2024, month)[1] for month in months):
        msg = f"cron expression {expression!r} never comes true: no such month has a day {min(days)}"
        raise ValueError(msg)
    return cron


def _values(text: str, field: str, least: int, most: int, names: dict[str, int]) -> set[int]:
    values: set[int] = set()
    for part in text.split(","):
        span, slash, step_text = part.partition("/")
        first, dash, last = (str(least), "-", str(most)) if span == "*" else span.partition("-")
        step = int(step_text) if step_text.isdecimal() else 0 if slash else 1
        ends = [names.get(end, int(end) if end.isdecimal() else -1) for end in (first, last or first)]
        # "5/15" means from 5 on.
        low, high = ends[0], most if slash and not dash else ends[1]
        if not (least <= low <= high <= most and step >= 1):
            msg = f"{field} {part!r} is not within {least} to {most}, a range, a list or a step of these"
            raise ValueError(msg)
        values.update(range(low, high + 1, step))
    return values


def next_time(expression: str, zone: ZoneInfo, after: datetime) -> datetime | None:
    """The first moment after ``after`` at which the expression comes true in the zone, in UTC; ``None``: not in years.

    A local time that a clock change skips comes true as much later as the clock jumps; one that happens twice comes
    true the first time. Raises ``ValueError`` for an expression that cannot be read.
    """
    return _next_time(expression, zone, after.astimezone(UTC).replace(second=0, microsecond=0))


@lru_cache(maxsize=16_384)
def _next_time(expression: str, zone: ZoneInfo, after: datetime) -> datetime | None:
    cron = parse_cron(expression)
    # A clock that was set back an hour shows times again that have passed: begin early enough and compare in UTC.
    local = (after - timedelta(hours=3)).astimezone(zone).replace(tzinfo=None)
    day = local.date()
    for _ in range(_HORIZON_DAYS):
        if cron.includes(day):
            for hour in cron.hours:
                for minute in cron.minutes:
                    naive = datetime.combine(day, time(hour, minute))
                    if naive < local:
                        continue
                    moment = naive.replace(tzinfo=zone).astimezone(UTC)
                    if moment > after:
                        return moment
        day += timedelta(days=1)
    return None
