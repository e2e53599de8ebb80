"""From samples to a number of replicas: the one place where the kinds of rules come together."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.autoscaling.decision import DecisionReason, ScalingDecision
from domain.autoscaling.rules import ScalingPolicy
from domain.autoscaling.samples import MetricSample
from domain.autoscaling.step import evaluate_step


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingInput:
    """What an evaluation starts from: the target number of replicas, the active routes, and the newest samples."""

    current: int
    active: Collection[UUID]
    samples: Sequence[MetricSample]
    rules_fired_at: Mapping[str, datetime]


def evaluate(policy: ScalingPolicy, given: ScalingInput, now: datetime) -> ScalingDecision | None:
    """Give the decision of the first rule that fires, inside the policy's bounds; ``None`` if nothing changes."""
    for rule in policy.rules:
        evaluation = evaluate_step(
            rule,
            given.samples,
            current=given.current,
            active=given.active,
            fired_at=given.rules_fired_at.get(rule.name),
            now=now,
        )
        if evaluation is None:
            continue
        desired = policy.clamp(evaluation.proposed)
        # The policy's bounds may cut a step short, but never turn it around.
        if (desired - given.current) * (evaluation.proposed - given.current) > 0:
            reason = DecisionReason.RULE
            return ScalingDecision(previous=given.current, desired=desired, reason=reason, evaluation=evaluation)
    return None
