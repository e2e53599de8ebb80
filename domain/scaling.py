"""From a deployment's state to an evaluation of its rules, and from there to what is recorded.

The one way to evaluate a deployment: live, and when the past is gone through again.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

from domain.autoscaling.decision import ScalingDecision
from domain.autoscaling.engine import Evaluation, ScalingInput, evaluate
from domain.autoscaling.history import ScalingHistory
from domain.autoscaling.metric import MetricRule
from domain.autoscaling.rules import ScalingPolicy
from domain.autoscaling.scale_to_zero import ScaleToZeroRule
from domain.autoscaling.window import MetricKey, SampleWindows, WindowLimits
from domain.deciding.replicas import is_news
from domain.deployment import Deployment
from domain.limits import DecisionLimits


class Unrecorded(NamedTuple):
    """What becomes of an evaluation that changes nothing.

    ``decision`` is there where its reason is news; ``due_at`` is when to look again.
    """

    decision: ScalingDecision | None
    due_at: datetime | None


def evaluate_rules(state: Deployment, samples: SampleWindows, history: ScalingHistory, now: datetime) -> Evaluation:
    """Say how many replicas the deployment's own rules want at ``now``."""
    policy = state.scaling_policy
    if policy.pause is not state.effective_pause:
        policy = policy.model_copy(update={"pause": state.effective_pause})
    wakes = any(isinstance(rule, ScaleToZeroRule) for rule in policy.rules)
    spec = state.replica_spec
    given = ScalingInput(
        current=state.target_replica_count,
        routes=state.active_routes,
        samples=samples,
        history=history,
        rules_fired_at=state.rules_fired_at,
        watermarks_used=state.watermarks_used,
        override_ended=state.override_ended,
        baseline=spec.replica_count,
        stopped=spec.desired_replica_count is None and not wakes,
    )
    return evaluate(policy, given, now)


def unchanged(state: Deployment, evaluation: Evaluation, now: datetime, limits: DecisionLimits) -> Unrecorded:
    """Another reason is recorded at once, or as soon as it is not too soon after the one before."""
    key, known, due_at = evaluation.reason_key, state.scaling_reason, evaluation.due_at
    if is_news(state, key, now, limits):
        return Unrecorded(evaluation.decision(), due_at)
    if known is not None and known.key != key:
        again = known.recorded_at + timedelta(seconds=limits.reasons_apart)
        due_at = again if due_at is None else min(due_at, again)
    return Unrecorded(None, due_at)


def window_limits(policy: ScalingPolicy, samples: int) -> dict[MetricKey, WindowLimits]:
    """What is kept of each metric that a rule looks at; ``samples``: most of one series (count)."""
    return {key: WindowLimits(seconds=w.seconds, samples=samples) for key, w in policy.window_limits.items()}


def looks_back(policy: ScalingPolicy) -> float:
    """How old a sample may be to matter to any rule (seconds)."""
    ages = [rule.max_sample_age_seconds for rule in policy.rules if isinstance(rule, MetricRule)]
    return max([*ages, *(window.seconds for window in policy.window_limits.values())], default=0.0)
