"""What one rule made of what it saw: the numbers that went in, and what it would do."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from math import ceil, inf, isinf, isnan
from sys import float_info
from typing import ClassVar, Final
from uuid import UUID

from pydantic import ConfigDict

from domain.autoscaling.metric import Comparator

#: The largest count that arithmetic comes to (2³¹ − 1, the largest of Kubernetes' int32); beyond it, it saturates.
MAX_COUNT: Final = 2**31 - 1

#: Most route ids that an outcome names of those without a sample, and of those not ready (count of each).
MAX_ROUTES_NAMED: Final = 10

#: A result this little above a whole number (as a share of it) is the whole number: 3 × 1.1 is 3.3000000000000003.
_ROUNDING_NOISE: Final = 1e-12


class Verdict(StrEnum):
    """What a rule comes to."""

    #: It recommends a number of replicas, which may be the current one.
    RECOMMENDS = "recommends"
    #: Its metric gives no reason to act, and no reason against others acting.
    QUIET = "quiet"
    #: It would act, but its cooldown is not over.
    RESTING = "resting"
    #: It would act, but has acted on these samples already.
    USED = "used"
    #: It would act, but its own bounds leave nothing to do.
    BOUNDED = "bounded"
    #: It would act, but a rule of the same kind with precedence does already.
    OUTRANKED = "outranked"
    #: It cannot tell: there are no samples, or none that count.
    INVALID = "invalid"
    #: A schedule's window is open.
    OPEN = "open"
    #: A schedule's window is closed.
    CLOSED = "closed"
    #: There is activity: the deployment must not be at zero.
    ACTIVE = "active"
    #: There is no activity, but not for long enough to go to zero.
    COOLING = "cooling"
    #: There has been no activity for long enough to go to zero.
    IDLE = "idle"


class Finding(StrEnum):
    """How a rule came to its recommendation, where that needs a word."""

    #: The metric is within the tolerance around its target.
    WITHIN_TOLERANCE = "within-tolerance"
    #: Routes without a sample, or not ready, were counted cautiously and changed the result.
    REBALANCED = "rebalanced"
    #: The same, and with them the metric gives no clear reason to act any more.
    HELD_BY_REBALANCING = "held-by-rebalancing"
    #: The recommendation went against what the metric says, so the count is held.
    CONTRADICTION = "contradiction"
    #: Demand surged: the short window decides, and nothing is taken away.
    PANIC = "panic"
    #: So does what was recommended before in the panic.
    PANIC_PEAK = "panic-peak"
    #: Removing is put off until demand has been low for long enough.
    DELAYED = "delayed"
    #: Demand has to persist before the rule acts.
    WAITING = "waiting"
    #: There was nothing running, so that demand alone decides.
    COLD_START = "cold-start"
    #: The count was changed for these samples already, and what they say of the new one is not known yet.
    USED = "used"
    #: There are no samples that count.
    NO_SAMPLES = "no-samples"
    #: Samples came only from routes that are not ready.
    NONE_READY = "none-ready"
    #: No sample says what a replica's usage is a share of.
    NO_REQUESTS = "no-requests"
    #: The time zone is not known here.
    UNKNOWN_TIME_ZONE = "unknown-time-zone"


class Measure(StrEnum):
    """What an outcome's value is."""

    #: The mean over replicas.
    MEAN = "mean"
    #: What replicas use of what they may use, in percent.
    UTILIZATION = "utilization"
    #: One number for the deployment as a whole.
    TOTAL = "total"
    #: The same, divided by the number of replicas.
    PER_REPLICA = "per replica"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleOutcome:
    """What a rule saw and what it would do.

    ``recommended`` is a count of replicas; ``evidence`` says where the metric points: 1 up, -1 down, 0 neither.
    ``value`` (a ``measure``) and ``target`` are in the rule's unit, ``ratio`` is the one divided by the other,
    ``rebalanced`` the ratio after missing and unready routes were counted cautiously. ``unclamped`` is the count before
    the rule's own bounds or delay; an open schedule has a ``floor`` or a ``ceiling``. ``reported`` counts the series
    (for rules per replica: routes) in the value, ``watermark`` is the newest of their times. ``due_at`` is when the
    outcome may change without anything new.
    """

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid", allow_inf_nan=False)

    rule: str
    kind: str
    verdict: Verdict
    recommended: int | None = None
    finding: Finding | None = None
    evidence: int = 0
    measure: Measure | None = None
    value: float | None = None
    target: float | None = None
    ratio: float | None = None
    rebalanced: float | None = None
    comparator: Comparator | None = None
    unclamped: int | None = None
    floor: int | None = None
    ceiling: int | None = None
    reported: int = 0
    unready: int = 0
    missing: int = 0
    ignored: int = 0
    unready_routes: tuple[UUID, ...] = ()
    missing_routes: tuple[UUID, ...] = ()
    watermark: datetime | None = None
    unit: str = ""
    due_at: datetime | None = None


def replicas_for(demand: float) -> int:
    """Round a demand for replicas up to a count, 0 to :data:`MAX_COUNT`."""
    if demand >= MAX_COUNT:
        return MAX_COUNT
    if isnan(demand) or demand <= 0:
        return 0
    return ceil(demand * (1 - _ROUNDING_NOISE))


def divided(value: float, by: float) -> float:
    """Give ``value / by``, saturating: anything by zero, and anything too large, is the largest number."""
    quotient = value / by if by else inf if value > 0 else -inf if value < 0 else 0.0
    return max(-float_info.max, min(float_info.max, quotient)) if isinf(quotient) else quotient


def moment(timestamp: float) -> datetime:
    """Seconds since 1970 as a moment in UTC."""
    return datetime.fromtimestamp(timestamp, UTC)
