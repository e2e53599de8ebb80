"""Whether the times of commits are ones that can be: a time given to a question about the past goes by them."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final, NamedTuple

#: How far the clocks of workers and database may be apart: an event is decided right before it is committed.
MOST_APART: Final = timedelta(minutes=10)


class CommitTime(NamedTuple):
    """Everything up to ``position`` was committed ``at`` this time by the database's clock; ``None``: it is no time."""

    position: int
    at: datetime | None


class EventTime(NamedTuple):
    """The event at ``position`` was decided ``at`` this time by a worker's clock."""

    position: int
    at: datetime


def errors_of(events: Sequence[EventTime], commits: Sequence[CommitTime]) -> Iterator[tuple[int, str]]:
    """What is wrong with the commits of some events, in words, each with the position of the first event it is about.

    Both in order; ``commits`` reach from the last one before the events to the first one behind them. At most one error
    of a kind for each commit.
    """
    positions = [event.position for event in events]
    ends = [commit.position for commit in commits]
    for before, after in pairwise(commits):
        first = bisect_right(positions, before.position)
        if first < len(events) and before.at and after.at and after.at < before.at:
            said = f"was committed {_shown(after.at)}, before position {before.position} was, {_shown(before.at)}"
            yield positions[first], said
    start = 0
    while start < len(events):
        index = bisect_left(ends, positions[start])
        if index == len(commits):
            yield positions[start], "has no time of a commit, nor has anything behind it"
            return
        end = bisect_right(positions, commits[index].position)
        yield from _apart(events[start:end], commits[index])
        start = end


def _apart(events: Sequence[EventTime], commit: CommitTime) -> Iterator[tuple[int, str]]:
    if commit.at is None:
        yield events[0].position, f"the time of its commit at position {commit.position} is none"
        return
    for event in events:
        if abs(event.at - commit.at) > MOST_APART:
            yield event.position, f"happened {_shown(event.at)} and was committed {_shown(commit.at)}"
            return


def _shown(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
