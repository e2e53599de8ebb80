"""What an evaluation comes to: a number of replicas, why, what to remember, and when to look again."""

from datetime import datetime
from typing import NamedTuple

from domain.autoscaling.decision import DecisionReason, ReasonKey, RuleEvaluation, ScalingDecision, reason_key
from domain.autoscaling.history import ScalingHistory
from domain.autoscaling.reasoning import Reasoning
from domain.autoscaling.rules import ScalingRule
from domain.autoscaling.step import StepRule


class Evaluation(NamedTuple):
    """From ``previous`` to ``desired`` replicas (which may be the same), and why.

    ``history`` is for the next evaluation, once ``desired`` has been taken over. ``due_at`` is when to evaluate again
    if nothing new comes before: a cooldown, a window or a schedule ends, a period begins anew, a sample grows too old.
    ``rules`` are those that were evaluated.
    """

    previous: int
    desired: int
    reason: DecisionReason
    reasoning: Reasoning
    history: ScalingHistory
    due_at: datetime | None
    rules: tuple[ScalingRule, ...]

    @property
    def reason_key(self) -> ReasonKey:
        """What evaluations with the same reason have in common: one that changes nothing is news if this is."""
        return reason_key(self.reason, self.reasoning)

    def decision(self) -> ScalingDecision:
        """The decision as an event keeps it."""
        return ScalingDecision(
            previous=self.previous,
            desired=self.desired,
            reason=self.reason,
            evaluation=self._step_evaluation(),
            reasoning=self.reasoning,
        )

    def _step_evaluation(self) -> RuleEvaluation | None:
        outcome = self.reasoning.outcome_of(self.reasoning.winner)
        rule = next((rule for rule in self.rules if rule.name == self.reasoning.winner), None)
        if self.desired == self.previous or outcome is None or not isinstance(rule, StepRule):
            return None
        return RuleEvaluation.model_validate(
            {
                "rule": outcome.rule,
                "source": rule.source,
                "metric_name": rule.metric,
                "metric": outcome.value,
                "samples": outcome.reported,
                "watermark": outcome.watermark,
                "comparator": outcome.comparator,
                "threshold": outcome.target,
                "unclamped": outcome.unclamped,
                "proposed": outcome.recommended,
            }
        )
