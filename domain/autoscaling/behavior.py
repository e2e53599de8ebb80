"""How fast and how readily a count may follow its recommendations: stabilization windows and rate policies.

Semantics and defaults are those of ``behavior`` in Kubernetes' HorizontalPodAutoscaler (autoscaling/v2,
``pkg/controller/podautoscaler/horizontal.go``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, ClassVar, Final, NamedTuple, assert_never

from pydantic import ConfigDict, Field

from domain.autoscaling.history import MAX_WINDOW, ScaleChange, ScalingHistory
from domain.message import MAX_REPLICAS, Message

#: How long a lower recommendation waits for a higher one, where nothing else is said (seconds).
DEFAULT_DOWN_WINDOW: Final = 300.0

#: What a count may always grow to, where nothing else is said (replicas).
_ALWAYS_UP_TO: Final = 4

Window = Annotated[float, Field(ge=0, le=MAX_WINDOW)]


class RateUnit(StrEnum):
    """What a rate policy's value counts."""

    REPLICAS = "replicas"
    #: Of the count at the beginning of the period.
    PERCENT = "percent"


class SelectPolicy(StrEnum):
    """Which of several rate policies counts."""

    MAX_CHANGE = "max"
    MIN_CHANGE = "min"
    #: None: the count does not change in this direction.
    DISABLED = "disabled"


class RatePolicy(Message):
    """At most ``value`` (replicas, or percent) of change in any ``period_seconds``."""

    unit: RateUnit
    value: Annotated[int, Field(ge=1, le=MAX_REPLICAS)]
    period_seconds: Annotated[float, Field(gt=0, le=1800)]

    def limit(self, start: int, direction: int) -> int:
        """How far the count may go from ``start``, what it was at the beginning of the period (replicas)."""
        match self.unit:
            case RateUnit.REPLICAS:
                return start + direction * self.value
            case RateUnit.PERCENT if direction > 0:
                return -(-start * (100 + self.value) // 100)
            case RateUnit.PERCENT:
                return int(start * (100 - self.value) / 100)
            case _:
                assert_never(self.unit)


class ScalingRules(Message):
    """What holds for one direction: a stabilization window, and rate policies of which ``select`` chooses."""

    stabilization_window_seconds: Window = 0.0
    policies: Annotated[tuple[RatePolicy, ...], Field(min_length=1, max_length=8)]
    select: SelectPolicy = SelectPolicy.MAX_CHANGE


def _default_up() -> ScalingRules:
    policies = (
        RatePolicy(unit=RateUnit.REPLICAS, value=4, period_seconds=15),
        RatePolicy(unit=RateUnit.PERCENT, value=100, period_seconds=15),
    )
    return ScalingRules(policies=policies)


def _default_down() -> ScalingRules:
    all_at_once = RatePolicy(unit=RateUnit.PERCENT, value=100, period_seconds=15)
    return ScalingRules(stabilization_window_seconds=DEFAULT_DOWN_WINDOW, policies=(all_at_once,))


class Behavior(Message):
    """How the count may grow and how it may shrink."""

    scale_up: ScalingRules = Field(default_factory=_default_up)
    scale_down: ScalingRules = Field(default_factory=_default_down)


_DOUBLING: Final = RatePolicy(unit=RateUnit.PERCENT, value=100, period_seconds=15)


class Pace(NamedTuple):
    """What holds around the rules of a policy; windows in seconds.

    With ``doubling`` the count may grow to twice itself, or to 4, in any 15 seconds: HPA allows that at each turn of a
    loop that takes as long.
    """

    up_window: float = 0.0
    down_window: float = 0.0
    up: ScalingRules | None = None
    down: ScalingRules | None = None
    doubling: bool = False


#: Where nothing is said and no rule brings a pace of its own.
DEFAULT_PACE: Final = Pace(down_window=DEFAULT_DOWN_WINDOW, doubling=True)

#: Where the rules bring a pace of their own.
UNHINDERED: Final = Pace()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stabilization:
    """A recommendation was held: instead of it ``held_at`` counts, recommended ``since`` within the window."""

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid")

    held_at: int
    since: datetime
    window_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """How far the rate policies let the count go now.

    ``limit`` is in replicas, and may be below zero; ``start`` is what the count was at the beginning of the period of
    ``policy``, which decided. Without one the count may not change in this direction at all.
    """

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid")

    limit: int
    start: int
    policy: RatePolicy | None = None


def stabilized(
    recommended: int, current: int, history: ScalingHistory, now: datetime, pace: Pace
) -> tuple[int, Stabilization | None]:
    """Bring ``current`` between the lowest recommendation of the up window and the highest of the down window.

    ``history`` holds ``recommended`` already. The second part of the answer says what held the recommendation.
    """
    low = history.lowest(now, pace.up_window) if pace.up_window else None
    high = history.highest(now, pace.down_window) if pace.down_window else None
    up = recommended if low is None else min(recommended, low.replicas)
    down = recommended if high is None else max(recommended, high.replicas)
    count = min(max(current, up), down)
    if count == recommended:
        return count, None
    if recommended < count:
        since, window = high.at if high else now, pace.down_window
    else:
        since, window = low.at if low else now, pace.up_window
    return count, Stabilization(held_at=count, since=since, window_seconds=window)


def rate_limit(pace: Pace, current: int, direction: int, history: ScalingHistory, now: datetime) -> RateLimit | None:
    """Say how far the count may go up (``direction`` 1) or down (-1); ``None``: as far as it wants."""
    rules = pace.up if direction > 0 else pace.down
    if rules is None:
        if not pace.doubling or direction < 0:
            return None
        start = current - change_within(history.changes, now, _DOUBLING.period_seconds)
        return RateLimit(limit=max(_DOUBLING.limit(start, 1), _ALWAYS_UP_TO), start=start, policy=_DOUBLING)
    if rules.select is SelectPolicy.DISABLED:
        return RateLimit(limit=current, start=current)
    limits = []
    for policy in rules.policies:
        start = current - change_within(history.changes, now, policy.period_seconds)
        limits.append(RateLimit(limit=policy.limit(start, direction), start=start, policy=policy))
    farthest = (rules.select is SelectPolicy.MAX_CHANGE) == (direction > 0)
    return max(limits, key=_limit) if farthest else min(limits, key=_limit)


def change_within(changes: Sequence[ScaleChange], now: datetime, seconds: float) -> int:
    """By how much the count was changed in the last ``seconds`` (exclusive)."""
    if not changes:
        return 0
    period = timedelta(seconds=seconds)
    # Either way: a clock that was set back must not make changes count for as long as it was wrong.
    return sum(change for at, change in changes if abs(now - at) < period)


def _limit(limited: RateLimit) -> int:
    return limited.limit
