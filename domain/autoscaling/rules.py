"""The rules that a scaling policy may hold, as a closed union with ``kind`` as its discriminator, and the policy."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Self, TypeAlias

from pydantic import BeforeValidator, Field, model_validator

from domain.autoscaling.behavior import DEFAULT_PACE, UNHINDERED, Behavior, Pace
from domain.autoscaling.metric import Comparator, MetricRule, MetricSource
from domain.autoscaling.request_driven import RequestDrivenRule
from domain.autoscaling.scale_to_zero import ScaleToZeroRule
from domain.autoscaling.schedule import ScheduleRule, find_time_zone
from domain.autoscaling.step import StepRule
from domain.autoscaling.target_tracking import TargetTrackingRule, TargetType
from domain.autoscaling.window import MetricKey, WindowLimits
from domain.autoscaling.window_with_panic import WindowWithPanicRule
from domain.message import MAX_REPLICAS, Message, ReplicaCount

__all__ = [
    "Combine",
    "Comparator",
    "MetricSource",
    "Pause",
    "RequestDrivenRule",
    "ScaleToZeroRule",
    "ScalingPolicy",
    "ScalingRule",
    "ScheduleRule",
    "StepRule",
    "TargetTrackingRule",
    "TargetType",
    "WindowWithPanicRule",
]

#: Every kind of rule. Other kinds join here, and in :mod:`domain.autoscaling.engine`.
ScalingRule: TypeAlias = (
    StepRule | TargetTrackingRule | WindowWithPanicRule | RequestDrivenRule | ScheduleRule | ScaleToZeroRule
)


def _with_kind(rule: object) -> object:
    """In the first release there was one kind, and nobody had to name it."""
    return {"kind": "step", **rule} if isinstance(rule, Mapping) else rule


class Combine(StrEnum):
    """How the recommendations of several rules become one."""

    #: The highest counts; while a rule cannot tell, nothing is removed (HPA).
    MAX = "max"
    #: Growing outranks staying and staying outranks shrinking, also where a rule stays because it has nothing to say;
    #: of several the highest counts (Nomad Autoscaler).
    SAFEST = "safest"


class Pause(StrEnum):
    """What the rules may not do for now. They go on being evaluated."""

    NONE = "none"
    SCALE_IN = "scale-in"
    SCALE_OUT = "scale-out"
    ALL = "all"

    def forbids(self, change: int) -> bool:
        """Whether the rules may not change the count by ``change`` (replicas; negative: removed)."""
        if change > 0:
            return self in {Pause.SCALE_OUT, Pause.ALL}
        return change < 0 and self in {Pause.SCALE_IN, Pause.ALL}

    def joined(self, other: "Pause") -> "Pause":
        """What may not be done under both pauses together."""
        if self is other or other is Pause.NONE:
            return self
        return other if self is Pause.NONE else Pause.ALL


class ScalingPolicy(Message):
    """The rules of a deployment, the bounds that hold for all of them (replicas), and how they work together.

    ``behavior`` says how fast the count may follow; without it target tracking has the pace that HPA has by default
    (:data:`domain.autoscaling.behavior.DEFAULT_PACE`), and the other kinds only the one that is their own: cooldowns,
    windows and delays.
    """

    rules: Annotated[
        tuple[Annotated[Annotated[ScalingRule, Field(discriminator="kind")], BeforeValidator(_with_kind)], ...],
        Field(max_length=32),
    ] = ()
    min_replicas: ReplicaCount = 0
    max_replicas: ReplicaCount = MAX_REPLICAS
    combine: Combine = Field(default=Combine.MAX, exclude_if=lambda combine: combine is Combine.MAX)
    behavior: Behavior | None = Field(default=None, exclude_if=lambda behavior: behavior is None)
    pause: Pause = Field(default=Pause.NONE, exclude_if=lambda pause: pause is Pause.NONE)

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        names = [rule.name for rule in self.rules]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            msg = f"rules share the name {twice[0]!r}, but a rule's name is what its cooldown is kept by"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _one_query_a_metric(self) -> Self:
        queries: dict[MetricKey, str | None] = {}
        for rule in self.rules:
            if isinstance(rule, MetricRule) and queries.setdefault(_key(rule), rule.query) != rule.query:
                msg = f"rule {rule.name!r} asks another query for metric {rule.metric!r} than a rule before it"
                raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _zero_is_allowed(self) -> Self:
        to_zero = [rule.name for rule in self.rules if isinstance(rule, ScaleToZeroRule)]
        if to_zero and self.min_replicas > 0:
            msg = f"rule {to_zero[0]!r} scales to zero, but min_replicas is {self.min_replicas}"
            raise ValueError(msg)
        return self

    def clamp(self, count: int) -> int:
        """Bring ``count`` (replicas) inside the bounds."""
        return max(self.min_replicas, min(self.max_replicas, count))

    @property
    def pace(self) -> Pace:
        """How fast the count may follow the rules."""
        if self.behavior is None:
            tracks = [rule for rule in self.rules if rule.kind == "target-tracking"]
            return DEFAULT_PACE if tracks else UNHINDERED
        up, down = self.behavior.scale_up, self.behavior.scale_down
        return Pace(up.stabilization_window_seconds, down.stabilization_window_seconds, up, down)

    @property
    def memory_seconds(self) -> float:
        """For how long what was recommended, or what a rule remembers, matters to a decision."""
        pace = self.pace
        return max(pace.up_window, pace.down_window, *[_remembers(rule) for rule in self.rules], 0.0)

    @property
    def unknown_time_zones(self) -> tuple[str, ...]:
        """The rules' time zones that this machine's data do not have."""
        zones = [rule.time_zone for rule in self.rules if isinstance(rule, ScheduleRule)]
        return tuple(zone for zone in zones if find_time_zone(zone) is None)

    @property
    def queries(self) -> Mapping[str, str]:
        """What to ask of Prometheus, by the metric that the answer is to be called."""
        rules = [rule for rule in self.rules if isinstance(rule, MetricRule)]
        return {rule.metric: rule.query for rule in rules if rule.query is not None}

    @property
    def window_limits(self) -> Mapping[MetricKey, WindowLimits]:
        """What has to be kept of each metric for the rules to see what they look at."""
        seconds: dict[MetricKey, float] = {}
        for rule in self.rules:
            if isinstance(rule, MetricRule):
                seconds[_key(rule)] = max(seconds.get(_key(rule), 0.0), _looks_back(rule))
        return {key: WindowLimits(seconds=span) for key, span in seconds.items()}


def _remembers(rule: ScalingRule) -> float:
    """For how long what the rule remembers matters to it (seconds)."""
    if rule.kind == "window-with-panic":
        return max(rule.stable_window_seconds, rule.scale_down_delay_seconds)
    if rule.kind == "request-driven":
        to_zero = rule.downscale_to_zero_delay_seconds or 0.0
        return max(rule.upscale_delay_seconds, rule.downscale_delay_seconds, to_zero)
    if rule.kind == "scale-to-zero":
        return rule.cooldown_seconds
    return 0.0


def _key(rule: MetricRule) -> MetricKey:
    return rule.source, rule.metric


def _looks_back(rule: MetricRule) -> float:
    match rule:
        case WindowWithPanicRule():
            return rule.stable_window_seconds
        case RequestDrivenRule():
            return rule.look_back_seconds
        case TargetTrackingRule():
            return rule.window_seconds
        case _:
            return 0.0
