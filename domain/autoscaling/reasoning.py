"""How the rules' outcomes became a number of replicas: what an event keeps, so that it can be asked why."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar

from pydantic import ConfigDict

from domain.autoscaling.behavior import RateLimit, Stabilization
from domain.autoscaling.outcome import RuleOutcome


class Able(StrEnum):
    """Whether the count may change now (HPA's reasons of the condition ``AbleToScale``)."""

    READY = "ReadyForNewScale"
    RESCALED = "SucceededRescale"
    UP_STABILIZED = "ScaleUpStabilized"
    DOWN_STABILIZED = "ScaleDownStabilized"
    PAUSED = "Paused"


class Active(StrEnum):
    """Whether the rules can tell what is needed (HPA's reasons of the condition ``ScalingActive``)."""

    VALID = "ValidMetricFound"
    NO_OPINION = "NoRuleHasAnOpinion"
    NO_RULES = "NoRules"
    BOUNDS_FIRST = "OutsideBounds"
    DISABLED = "ScalingDisabled"
    OVERRIDDEN = "Overridden"
    NO_UTILIZATION = "FailedGetResourceMetric"
    NO_REPLICA_METRIC = "FailedGetPodsMetric"
    NO_TOTAL = "FailedGetExternalMetric"

    @property
    def is_active(self) -> bool:
        """Whether the rules have a say."""
        return self is Active.VALID or self is Active.NO_OPINION or self is Active.BOUNDS_FIRST


class Limited(StrEnum):
    """What kept the count from its recommendation (HPA's reasons of the condition ``ScalingLimited``)."""

    NO = "DesiredWithinRange"
    TOO_FEW = "TooFewReplicas"
    TOO_MANY = "TooManyReplicas"
    UP_LIMIT = "ScaleUpLimit"
    DOWN_LIMIT = "ScaleDownLimit"

    @property
    def by_rate(self) -> bool:
        """Whether a rate policy did it."""
        return self is Limited.UP_LIMIT or self is Limited.DOWN_LIMIT


@dataclass(frozen=True, slots=True, kw_only=True)
class Reasoning:
    """The chain from the rules to the count, in the order in which it came about.

    ``winner`` is the rule whose recommendation counted, ``combined`` what the rules came to together, ``stabilized``
    and ``limited_to`` what became of it (replicas); ``least`` and ``most`` are the bounds at that time. ``watermark``
    is the time of the newest sample that any rule saw.
    """

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid")

    rules: tuple[RuleOutcome, ...] = ()
    winner: str | None = None
    combined: int | None = None
    stabilization: Stabilization | None = None
    stabilized: int | None = None
    rate_limit: RateLimit | None = None
    limited_to: int | None = None
    least: int
    most: int
    able: Able = Able.READY
    active: Active = Active.VALID
    limited: Limited = Limited.NO
    watermark: datetime | None = None

    @property
    def due_at(self) -> datetime | None:
        """When this may come out differently without anything new, as far as rules and stabilization tell."""
        dues = [outcome.due_at for outcome in self.rules if outcome.due_at is not None]
        if self.stabilization is not None:
            dues.append(self.stabilization.since + timedelta(seconds=self.stabilization.window_seconds))
        return min(dues, default=None)

    def outcome_of(self, rule: str | None) -> RuleOutcome | None:
        """What a rule came to."""
        return next((outcome for outcome in self.rules if outcome.rule == rule), None)
