"""The rules that a scaling policy may hold, as a closed union with ``kind`` as its discriminator."""

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from domain.message import MAX_REPLICAS, Message, Name, ReplicaCount, Seconds


class MetricSource(StrEnum):
    """Where a sample comes from, which decides how a rule aggregates it."""

    #: One sample per route; a rule sees the mean over the active routes that reported.
    KERNEL = "kernel"
    #: One sample for the deployment as a whole; a rule sees it divided by the number of active routes.
    INFERENCE_FRAMEWORK = "inference-framework"


class Comparator(StrEnum):
    """How a metric is held against a threshold; all are read as ``metric COMPARATOR threshold``."""

    LESS_THAN = "lt"
    LESS_THAN_OR_EQUAL = "le"
    GREATER_THAN = "gt"
    GREATER_THAN_OR_EQUAL = "ge"

    def holds(self, metric: float, threshold: float) -> bool:
        """Tell whether ``metric`` stands in this relation to ``threshold`` (same unit)."""
        match self:
            case Comparator.LESS_THAN:
                return metric < threshold
            case Comparator.LESS_THAN_OR_EQUAL:
                return metric <= threshold
            case Comparator.GREATER_THAN:
                return metric > threshold
            case Comparator.GREATER_THAN_OR_EQUAL:
                return metric >= threshold


class StepRule(Message):
    """Add ``step`` replicas (negative: remove) when the metric crosses the threshold; then rest for the cooldown."""

    kind: Literal["step"] = "step"
    name: Name
    source: MetricSource
    metric: Name
    comparator: Comparator
    threshold: float
    step: Annotated[int, Field(ge=-MAX_REPLICAS, le=MAX_REPLICAS)]
    cooldown_seconds: Seconds = 300.0
    min_replicas: ReplicaCount = 0
    max_replicas: ReplicaCount = MAX_REPLICAS

    @model_validator(mode="after")
    def _step_and_bounds(self) -> Self:
        if self.step == 0:
            msg = f"step of rule {self.name!r} is 0, which would never change anything"
            raise ValueError(msg)
        if self.min_replicas > self.max_replicas:
            msg = f"min_replicas {self.min_replicas} of rule {self.name!r} is above max_replicas {self.max_replicas}"
            raise ValueError(msg)
        return self


#: Every kind of rule. Other kinds join here, and in :mod:`domain.autoscaling.engine`.
ScalingRule = StepRule


class ScalingPolicy(Message):
    """The rules of a deployment, in order of precedence, and the bounds that hold for all of them (replicas)."""

    rules: Annotated[tuple[ScalingRule, ...], Field(max_length=32)] = ()
    min_replicas: ReplicaCount = 0
    max_replicas: ReplicaCount = MAX_REPLICAS

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        names = [rule.name for rule in self.rules]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            msg = f"rules share the name {twice[0]!r}, but a rule's name is what its cooldown is kept by"
            raise ValueError(msg)
        return self

    def clamp(self, count: int) -> int:
        """Bring ``count`` (replicas) inside the bounds."""
        return max(self.min_replicas, min(self.max_replicas, count))
