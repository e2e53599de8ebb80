"""What a decision needs to know of those before it: an immutable value, given to each evaluation and given back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Annotated, Final, Literal, NamedTuple

from pydantic import Field

#: The longest stabilization window and rate period there are (seconds), as in Kubernetes.
MAX_WINDOW: Final = 3600.0

#: Most entries that each of a history's sequences keeps (count); beyond it the oldest two become one.
MAX_ENTRIES: Final = 256

_RETENTION: Final = timedelta(seconds=MAX_WINDOW)

#: How late an evaluation that was due may come before the time without one counts as blindness (seconds).
LATENESS: Final = 60.0


class Recommendation(NamedTuple):
    """What the rules recommended at a moment, before anything was done to it (replicas)."""

    at: datetime
    replicas: int


class ScaleChange(NamedTuple):
    """By how much the desired count was changed at a moment (replicas; negative: removed)."""

    at: datetime
    change: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PanicMemory:
    """Of a window rule: since when it panics, the most replicas it came to in this panic, and what it would delay."""

    kind: Literal["panic"] = "panic"
    since: datetime | None = None
    peak: int = 0
    recent: tuple[Recommendation, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PersistenceMemory:
    """Of a request-driven rule: where its demand points (1 up, -1 down), and since when without a break."""

    kind: Literal["persistence"] = "persistence"
    direction: int
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityMemory:
    """Of a scale-to-zero rule: when there was last any activity."""

    kind: Literal["activity"] = "activity"
    active_at: datetime


#: What a rule has to remember from one evaluation to the next.
RuleMemory = Annotated[PanicMemory | PersistenceMemory | ActivityMemory, Field(discriminator="kind")]


class ScalingHistory(NamedTuple):
    """Recommendations and changes of the recent past, and what single rules remember, by the rule's name.

    ``highs`` keeps each recommendation that none since has reached, ``lows`` each that none since has undercut: that is
    all that the highest and the lowest of any window depend on, however many there were. ``acted_on`` is the newest
    sample that there was when the count was last changed, and what it was changed to. ``is_restored`` says that it was
    read from what was recorded, and nothing was evaluated since: nobody knows why there was no evaluation for so long.
    """

    evaluated_at: datetime | None = None
    highs: tuple[Recommendation, ...] = ()
    lows: tuple[Recommendation, ...] = ()
    changes: tuple[ScaleChange, ...] = ()
    acted_on: Recommendation | None = None
    memories: Mapping[str, RuleMemory] = MappingProxyType({})
    is_restored: bool = False

    def begun(self, current: int, now: datetime, window: float) -> "ScalingHistory":
        """Where nothing is known of the last ``window`` seconds, record the current count as a recommendation.

        That is what keeps a restart from scaling in at once (Kubernetes' ``recordInitialRecommendation``). Without a
        restart an evaluation may come up to :data:`LATENESS` seconds later than that.
        """
        at, lateness = self.evaluated_at, 0.0 if self.is_restored else LATENESS
        if at is not None and abs((now - at).total_seconds()) <= window + lateness:
            return self
        return self.recommended(current, now, {})

    def after_override(self, ended: Recommendation | None) -> "ScalingHistory":
        """Drop what rules remember of the time before an override, during which none was asked."""
        if ended is None or self.evaluated_at is None or self.evaluated_at >= ended.at:
            return self
        return self._replace(memories=MappingProxyType({}))

    def recommended(
        self, replicas: int | None, now: datetime, memories: Mapping[str, RuleMemory] | None = None
    ) -> "ScalingHistory":
        """Give the history after one more evaluation and its recommendation, if it came to one."""
        highs, lows = self.highs, self.lows
        if replicas is not None:
            entry, since = Recommendation(now, replicas), now - _RETENTION
            highs, lows = _kept(highs, entry, since, sign=1), _kept(lows, entry, since, sign=-1)
        kept = self.memories if memories is None else memories
        return ScalingHistory(now, highs, lows, self.changes, self.acted_on, kept)

    def changed(self, change: int, now: datetime, acted_on: Recommendation | None = None) -> "ScalingHistory":
        """Give the history after the desired count was changed."""
        since = now - _RETENTION
        kept = [entry for entry in self.changes if entry.at > since]
        if len(kept) >= MAX_ENTRIES:
            kept[:2] = [ScaleChange(kept[1].at, kept[0].change + kept[1].change)]
        return self._replace(changes=(*kept, ScaleChange(now, change)), acted_on=acted_on)

    def recalling(self, entry: Recommendation | None) -> "ScalingHistory":
        """Give the history with one more recommendation, of a moment before the last one."""
        if entry is None:
            return self
        return self._replace(highs=_inserted(self.highs, entry, sign=1), lows=_inserted(self.lows, entry, sign=-1))

    def highest(self, now: datetime, window: float) -> Recommendation | None:
        """The highest recommendation younger than ``window`` seconds."""
        return _first_within(self.highs, now, window)

    def lowest(self, now: datetime, window: float) -> Recommendation | None:
        """The lowest recommendation younger than ``window`` seconds."""
        return _first_within(self.lows, now, window)


def extended(highs: Sequence[Recommendation], entry: Recommendation, window: float) -> tuple[Recommendation, ...]:
    """Add to a sequence of recommendations that each are above all after them; what is too old goes."""
    return _kept(highs, entry, entry.at - timedelta(seconds=window), sign=1)


def _kept(
    entries: Sequence[Recommendation], entry: Recommendation, since: datetime, *, sign: int
) -> tuple[Recommendation, ...]:
    last = len(entries)
    while last and (entries[last - 1].replicas - entry.replicas) * sign <= 0:
        last -= 1
    # What a clock that was set back has left in the future would never grow old.
    while last and entries[last - 1].at > entry.at:
        last -= 1
    first = 0
    while first < last and entries[first].at <= since:
        first += 1
    if last - first >= MAX_ENTRIES:
        # Holding longer is the safe side of forgetting: the older value, as if it were as young as its successor.
        merged = Recommendation(entries[first + 1].at, entries[first].replicas)
        return (merged, *entries[first + 2 : last], entry)
    return (*entries[first:last], entry)


def _inserted(entries: tuple[Recommendation, ...], entry: Recommendation, *, sign: int) -> tuple[Recommendation, ...]:
    before = [each for each in entries if each.at <= entry.at and (each.replicas - entry.replicas) * sign > 0]
    after = [each for each in entries if each.at > entry.at]
    hidden = after and (after[0].replicas - entry.replicas) * sign >= 0
    return entries if hidden else (*before, entry, *after)


def _first_within(entries: Sequence[Recommendation], now: datetime, window: float) -> Recommendation | None:
    since = now - timedelta(seconds=window)
    for entry in entries:
        if entry.at > since:
            return entry
    return None
