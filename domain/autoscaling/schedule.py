"""Schedules: between two times of the week at least so many replicas, or at most. After KEDA's cron scaler."""

from datetime import datetime
from functools import lru_cache
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from domain.autoscaling.cron import next_time, parse_cron
from domain.autoscaling.outcome import Finding, RuleOutcome, Verdict
from domain.message import Message, Name, ReplicaCount

CronText = Annotated[str, Field(min_length=9, max_length=255)]


class ScheduleRule(Message):
    """From each time that ``start`` names to the next that ``end`` names, keep to ``floor`` and ``ceiling`` (replicas).

    Both times are cron expressions in ``time_zone`` (an IANA name). Where windows overlap the highest floor counts, and
    the highest ceiling.
    """

    kind: Literal["schedule"] = "schedule"
    name: Name
    time_zone: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_+\-]*(/[A-Za-z0-9_+\-]+){0,2}$", max_length=64)]
    start: CronText
    end: CronText
    floor: ReplicaCount | None = None
    ceiling: ReplicaCount | None = None

    @field_validator("start", "end")
    @classmethod
    def _can_be_read(cls, expression: str) -> str:
        parse_cron(expression)
        return expression

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        problem = ""
        if self.floor is None and self.ceiling is None:
            problem = "has neither a floor nor a ceiling"
        elif self.floor is not None and self.ceiling is not None and self.floor > self.ceiling:
            problem = f"has floor {self.floor} above ceiling {self.ceiling}"
        elif parse_cron(self.start) == parse_cron(self.end):
            problem = f"starts and ends at the same times, {self.start!r}"
        if problem:
            msg = f"rule {self.name!r} {problem}"
            raise ValueError(msg)
        return self


@lru_cache(maxsize=1024)
def find_time_zone(name: str) -> ZoneInfo | None:
    """The time zone of that IANA name; ``None`` where this machine's data do not have it."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def evaluate_schedule(rule: ScheduleRule, now: datetime) -> RuleOutcome:
    """Tell whether the window is open, and until when that stays so."""
    zone = find_time_zone(rule.time_zone)
    if zone is None:
        # What is stored must stay readable where other time zones are known: it is a finding, not an error.
        return RuleOutcome(rule=rule.name, kind=rule.kind, verdict=Verdict.INVALID, finding=Finding.UNKNOWN_TIME_ZONE)
    start, end = next_time(rule.start, zone, now), next_time(rule.end, zone, now)
    # Between the two the end comes first, outside of them the start.
    is_open = end is not None and (start is None or end < start)
    return RuleOutcome(
        rule=rule.name,
        kind=rule.kind,
        verdict=Verdict.OPEN if is_open else Verdict.CLOSED,
        floor=rule.floor if is_open else None,
        ceiling=rule.ceiling if is_open else None,
        due_at=min((edge for edge in (start, end) if edge is not None), default=None),
    )
