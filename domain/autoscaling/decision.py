"""What autoscaling decided, with the numbers that led to it."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from domain.autoscaling.metric import Comparator, MetricSource
from domain.autoscaling.reasoning import Able, Reasoning
from domain.message import Message, Moment, Name, ReplicaCount


class DecisionReason(StrEnum):
    """Why the desired number of replicas is what it is."""

    #: A rule of the scaling policy fired.
    RULE = "rule"
    #: There are no rules that size the deployment: the number set by hand counts.
    MANUAL = "manual"
    #: The number was outside the bounds of the policy or of a schedule, or would have been.
    BOUNDS = "bounds"
    #: The rules want no change.
    UNCHANGED = "unchanged"
    #: The rules want a change, but recent recommendations were against it.
    STABILIZED = "stabilized"
    #: The rules want a change, but there were enough in the last time.
    RATE_LIMITED = "rate-limited"
    #: The rules cannot tell, for want of samples.
    NO_METRICS = "no-metrics"
    #: The rules want a change, but it is paused.
    PAUSED = "paused"
    #: The number is held against the rules.
    OVERRIDDEN = "overridden"
    #: Somebody set the number to 0, and the rules do not wake what was put to sleep.
    DISABLED = "disabled"


class RuleEvaluation(Message):
    """One step rule held against the samples: ``metric`` (the rule's unit) COMPARATOR ``threshold`` gives ``proposed``.

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


#: What two decisions with the same reason have in common.
ReasonKey = tuple[str, ...]


def reason_key(reason: DecisionReason, why: Reasoning) -> ReasonKey:
    """Say what has to differ for a decision to change nothing to be news. That a change is over is none."""
    able = Able.READY if why.able is Able.RESCALED else why.able
    return (reason, why.winner or "", able, why.active, why.limited)


class ScalingDecision(Message):
    """From ``previous`` to ``desired`` replicas, and why.

    ``evaluation`` is there when a step rule decided, whose cooldown begins with this; ``reasoning`` is the whole chain,
    where the engine went through it.
    """

    previous: ReplicaCount
    desired: ReplicaCount
    reason: DecisionReason
    evaluation: RuleEvaluation | None = None
    reasoning: Reasoning | None = Field(default=None, exclude_if=lambda reasoning: reasoning is None)

    @property
    def reason_key(self) -> ReasonKey | None:
        """What decisions with the same reason have in common; ``None`` where the reasoning is not known."""
        return None if self.reasoning is None else reason_key(self.reason, self.reasoning)
