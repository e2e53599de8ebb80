"""What a course of events cost and what it was worth, in a few numbers."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Protocol, TypeVar

from domain.simulation.course import Counts, Course


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """Numbers to compare courses by.

    ``replica_hours``: replicas that were there, times hours; ``above_target_seconds``: how long a rule's metric was
    above its own target, and ``unmeasured_seconds`` how long none could tell; ``scalings``: changes of the wanted
    number (count); ``flaps``: how many of them turned the direction of the one before within the window;
    ``largest_step``: the most replicas in one change; ``at_max_seconds``: how long the most that the policy allows were
    wanted; ``highest`` and ``lowest``: of the wanted number.
    """

    replica_hours: float
    above_target_seconds: float
    unmeasured_seconds: float
    scalings: int
    flaps: int
    largest_step: int
    at_max_seconds: float
    highest: int
    lowest: int
    evaluations: int


def measures_of(course: Course, until: datetime, *, flap_seconds: float) -> Measures:
    """Measure a course up to a moment; ``flap_seconds`` is the window in which a turn counts as a flap."""
    counts = course.counts
    changes = [(b.at, b.desired - a.desired) for a, b in pairwise(counts) if a.desired != b.desired]
    flaps = sum(
        one * other < 0 and (later - earlier).total_seconds() <= flap_seconds
        for (earlier, one), (later, other) in pairwise(changes)
    )
    return Measures(
        replica_hours=round(sum(entry.active * seconds for entry, seconds in _lasting(counts, until)) / 3600, 6),
        above_target_seconds=_seconds(course.pressure, until, lambda entry: entry.above_target is True),
        unmeasured_seconds=_seconds(course.pressure, until, lambda entry: entry.above_target is None),
        scalings=len(changes),
        flaps=flaps,
        largest_step=max((abs(change) for _, change in changes), default=0),
        at_max_seconds=_seconds(counts, until, _is_at_max),
        highest=max((entry.desired for entry in counts), default=0),
        lowest=min((entry.desired for entry in counts), default=0),
        evaluations=course.evaluations,
    )


class _Timed(Protocol):
    @property
    def at(self) -> datetime: ...


T = TypeVar("T", bound=_Timed)


def _is_at_max(entry: Counts) -> bool:
    return entry.desired >= entry.most > 0


def _lasting(entries: Sequence[T], until: datetime) -> Iterator[tuple[T, float]]:
    """Each entry with how long it lasted (seconds)."""
    ends = [*(entry.at for entry in entries[1:]), until]
    for entry, end in zip(entries, ends, strict=True) if entries else ():
        yield entry, max(0.0, (end - entry.at).total_seconds())


def _seconds(entries: Sequence[T], until: datetime, holds: Callable[[T], bool]) -> float:
    return round(sum(seconds for entry, seconds in _lasting(entries, until) if holds(entry)), 6)
