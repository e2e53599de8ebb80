"""What autoscaling decided, with the numbers that led to it."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from domain.autoscaling.rules import Comparator, MetricSource
from domain.message import Message, Moment, Name, ReplicaCount


class DecisionReason(StrEnum):
    """Why the desired number of replicas is what it is."""

    #: A rule of the scaling policy fired.
    RULE = "rule"
    #: There are no rules: the number set by hand counts.
    MANUAL = "manual"
    #: The number was outside the policy's bounds.
    BOUNDS = "bounds"


class RuleEvaluation(Message):
    """One rule held against the samples: ``metric`` (the rule's unit) COMPARATOR ``threshold`` gives ``proposed``.

    ``samples`` counts the samples in the aggregate, ``watermark`` is the newest of their times, and ``unclamped`` is
    the number of replicas before the rule's own bounds.
    """

    rule: Name
    source: MetricSource
    metric_name: Name
    metric: float
    samples: Annotated[int, Field(ge=1)]
    watermark: Moment
    comparator: Comparator
    threshold: float
    unclamped: int
    proposed: ReplicaCount


class ScalingDecision(Message):
    """From ``previous`` to ``desired`` replicas, and why; ``evaluation`` is there when a rule decided."""

    previous: ReplicaCount
    desired: ReplicaCount
    reason: DecisionReason
    evaluation: RuleEvaluation | None = None
