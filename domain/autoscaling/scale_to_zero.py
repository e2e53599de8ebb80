"""Scale to zero, and back from it: while nothing happens nothing runs. After KEDA's activation."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from domain.autoscaling.history import ActivityMemory
from domain.autoscaling.metric import MetricRule
from domain.autoscaling.outcome import Finding, Measure, RuleOutcome, Verdict, divided, moment
from domain.autoscaling.situation import Situation, total
from domain.message import MAX_REPLICAS, Seconds


class ScaleToZeroRule(MetricRule):
    """Go to zero once the metric has not been above ``activation_threshold`` for ``cooldown_seconds``.

    The metric is one of the whole. As soon as it is above the threshold ``cold_start_replicas`` are made, and kept
    where no other rule sizes the deployment. Whether there is anything at all is for this rule alone: while there is
    activity, or was a moment ago, no other rule takes the last replica, and at zero none but this one makes a first
    one. Without samples nothing is known, so nothing is done.
    """

    kind: Literal["scale-to-zero"] = "scale-to-zero"
    activation_threshold: Annotated[float, Field(ge=0)] = 0.0
    cooldown_seconds: Seconds = 300.0
    cold_start_replicas: Annotated[int, Field(ge=1, le=MAX_REPLICAS)] = 1


def evaluate_scale_to_zero(
    rule: ScaleToZeroRule, situation: Situation, memory: ActivityMemory | None
) -> tuple[RuleOutcome, ActivityMemory | None]:
    """Tell whether there is activity, and if not, whether that has been so for long enough."""
    seen, now, current = total(rule, situation), situation.now, situation.given.current
    if seen is None:
        outcome = RuleOutcome(
            rule=rule.name,
            kind=rule.kind,
            verdict=Verdict.INVALID,
            finding=Finding.NO_SAMPLES,
            target=rule.activation_threshold,
            unit=rule.unit,
        )
        # Time in which nothing could be seen is no time in which nothing happened.
        return outcome, ActivityMemory(active_at=now)
    active = seen.value > rule.activation_threshold
    if active or memory is None or memory.active_at > now:
        memory = ActivityMemory(active_at=now)
    idle_at = memory.active_at + timedelta(seconds=rule.cooldown_seconds)
    verdict = Verdict.ACTIVE if active else Verdict.IDLE if idle_at <= now or current == 0 else Verdict.COOLING
    starts = active and current == 0
    stale_at = moment(seen.oldest + rule.max_sample_age_seconds)
    outcome = RuleOutcome(
        rule=rule.name,
        kind=rule.kind,
        verdict=verdict,
        recommended=rule.cold_start_replicas if starts else 0 if verdict is Verdict.IDLE else None,
        finding=Finding.COLD_START if starts else None,
        evidence=1 if active else -1,
        measure=Measure.TOTAL,
        value=seen.value,
        target=rule.activation_threshold,
        ratio=divided(seen.value, rule.activation_threshold) if rule.activation_threshold else None,
        reported=seen.series,
        watermark=moment(seen.newest),
        unit=rule.unit,
        due_at=min(stale_at, idle_at) if verdict is Verdict.COOLING else stale_at,
    )
    return outcome, memory
