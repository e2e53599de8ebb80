"""The step rule: cross a threshold, add or remove a fixed number of replicas, rest for the cooldown."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from domain.autoscaling.decision import RuleEvaluation
from domain.autoscaling.rules import MetricSource, StepRule
from domain.autoscaling.samples import MetricSample


def evaluate_step(
    rule: StepRule,
    samples: Sequence[MetricSample],
    *,
    current: int,
    active: Collection[UUID],
    fired_at: datetime | None,
    now: datetime,
) -> RuleEvaluation | None:
    """Hold ``rule`` against the newest samples; ``None`` where it does not fire.

    ``current`` is the target number of replicas, ``active`` the ids of the routes that count, ``fired_at`` when the
    rule last changed something. A step past the rule's bounds is cut to them.
    """
    # Either way: a clock that was set back must not make the rule rest for as long as it was wrong.
    if fired_at is not None and abs(now - fired_at) < timedelta(seconds=rule.cooldown_seconds):
        return None
    values = [s for s in samples if (s.source, s.metric) == (rule.source, rule.metric)]
    metric, used = _aggregate(rule.source, values, active)
    if metric is None or not rule.comparator.holds(metric, rule.threshold):
        return None
    unclamped = current + rule.step
    proposed = max(rule.min_replicas, min(rule.max_replicas, unclamped))
    # A rule moves the count its own way or not at all: its bounds alone never turn a step around.
    if (proposed - current) * rule.step <= 0:
        return None
    return RuleEvaluation(
        rule=rule.name,
        source=rule.source,
        metric_name=rule.metric,
        metric=metric,
        samples=len(used),
        watermark=max(s.at for s in used),
        comparator=rule.comparator,
        threshold=rule.threshold,
        unclamped=unclamped,
        proposed=proposed,
    )


def _aggregate(
    source: MetricSource, samples: Sequence[MetricSample], active: Collection[UUID]
) -> tuple[float | None, Sequence[MetricSample]]:
    match source:
        case MetricSource.KERNEL:
            newest_of = {s.route_id: s for s in sorted(samples, key=lambda s: s.at) if s.route_id in active}
            used = list(newest_of.values())
            # Divided before the addition, so that large values do not overflow.
            return (sum(s.value / len(used) for s in used) if used else None), used
        case MetricSource.INFERENCE_FRAMEWORK:
            whole = [s for s in samples if s.route_id is None]
            if not whole:
                return None, whole
            newest = max(whole, key=lambda s: s.at)
            return newest.value / (len(active) or 1), [newest]
