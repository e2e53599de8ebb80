"""Which measurements a scaling rule looks at, and what every rule that looks at some has in common."""

from enum import StrEnum
from typing import Annotated, Final, Self

from pydantic import Field, model_validator

from domain.message import Message, Name, Seconds

#: How old a sample may be before it counts as none, where a rule does not say (seconds). Prometheus calls a series
#: stale after the same time (its "lookback delta").
DEFAULT_MAX_SAMPLE_AGE: Final = 300.0


class MetricSource(StrEnum):
    """Where a sample comes from, which decides how a step rule aggregates it."""

    #: One sample per route; a step rule sees the mean over the active routes that reported.
    KERNEL = "kernel"
    #: One sample for the deployment as a whole; a step rule sees it divided by the number of active routes.
    INFERENCE_FRAMEWORK = "inference-framework"
    #: The answer to the rule's own query; a step rule sees it as it is, or the mean of an answer by route.
    PROMETHEUS = "prometheus"


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


class MetricRule(Message):
    """What every rule that looks at a metric says.

    ``query`` is asked of Prometheus and needs that source; rules with the same ``metric`` share one answer. A sample
    older than ``max_sample_age_seconds`` is not a sample. ``unit`` ("ms", "requests") is for explanations only.

    Fields that came after the first release are left out of the JSON while they hold their default, and the others keep
    their order: what was stored before reads back, and writes out, as it was.
    """

    kind: str
    name: Name
    source: MetricSource
    metric: Name
    query: Annotated[str, Field(min_length=1, max_length=4000)] | None = Field(
        default=None, exclude_if=lambda query: query is None
    )
    max_sample_age_seconds: Annotated[Seconds, Field(gt=0)] = Field(
        default=DEFAULT_MAX_SAMPLE_AGE, exclude_if=lambda age: age == DEFAULT_MAX_SAMPLE_AGE
    )
    unit: Annotated[str, Field(max_length=16)] = Field(default="", exclude_if=lambda unit: unit == "")

    @model_validator(mode="after")
    def _query_belongs_to_prometheus(self) -> Self:
        if (self.query is not None) != (self.source is MetricSource.PROMETHEUS):
            has, needs = ("a query", "is not prometheus") if self.query else ("no query", "is prometheus")
            msg = f"rule {self.name!r} has {has}, but its source {needs}"
            raise ValueError(msg)
        return self
