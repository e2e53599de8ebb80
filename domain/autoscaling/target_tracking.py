"""Target tracking: as many replicas as bring a metric to its target.

The arithmetic is that of Kubernetes' HorizontalPodAutoscaler v2 (``pkg/controller/podautoscaler/
replica_calculator.go``: GetResourceReplicas, calcPlainMetricReplicas, getUsageRatioReplicaCount,
GetExternalPerPodMetricReplicas, groupPods), with routes for pods.
"""

from enum import StrEnum
from math import floor
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from domain.autoscaling.outcome import Finding, Measure, RuleOutcome, Verdict, divided, moment, replicas_for
from domain.autoscaling.replica_groups import PerReplicaRule, ReplicaGroups, group_replicas
from domain.autoscaling.situation import Situation, total

Tolerance = Annotated[float, Field(ge=0, le=1000)]


#: From here on a number has no digits after the point that could be cut off.
_WHOLE_UP_TO: Final = 2.0**53


class TargetType(StrEnum):
    """What is brought to the target."""

    #: The mean of the replicas' own samples (HPA: Pods metric, AverageValue).
    AVERAGE_VALUE = "average-value"
    #: The replicas' usage as a share of what each may use, in whole percent (HPA: Resource metric, Utilization).
    UTILIZATION = "utilization"
    #: A metric of the whole, which more replicas are expected to lower (HPA: Object or External metric, Value).
    VALUE = "value"
    #: A metric of the whole divided by the number of replicas (HPA: Object or External metric, AverageValue).
    TOTAL_AVERAGE = "total-average"


class TargetTrackingRule(PerReplicaRule):
    """Keep a metric at ``target`` (its unit; for utilization percent of what a replica may use).

    Nothing changes while the metric is within a share of ``scale_up_tolerance`` above and ``scale_down_tolerance``
    below the target.
    """

    kind: Literal["target-tracking"] = "target-tracking"
    target_type: TargetType = TargetType.AVERAGE_VALUE
    target: Annotated[float, Field(ge=0)]
    scale_up_tolerance: Tolerance = 0.1
    scale_down_tolerance: Tolerance = 0.1

    @model_validator(mode="after")
    def _target_is_above_zero(self) -> Self:
        if self.target == 0 and self.target_type is not TargetType.VALUE:
            msg = f"target of rule {self.name!r} is 0, which only a target type of {TargetType.VALUE} may be"
            raise ValueError(msg)
        return self

    def tolerates(self, ratio: float) -> bool:
        """Whether a metric that is ``ratio`` times its target is close enough."""
        return 1.0 - self.scale_down_tolerance <= ratio <= 1.0 + self.scale_up_tolerance

    def evidence(self, ratio: float) -> int:
        """Where a metric that is ``ratio`` times its target points: 1 up, -1 down, 0 neither."""
        return 0 if self.tolerates(ratio) else 1 if ratio > 1.0 else -1


def evaluate_target_tracking(rule: TargetTrackingRule, situation: Situation) -> RuleOutcome:
    """Recommend the number of replicas that brings the metric to its target."""
    match rule.target_type:
        case TargetType.AVERAGE_VALUE | TargetType.UTILIZATION:
            return _per_replica(rule, situation)
        case TargetType.VALUE | TargetType.TOTAL_AVERAGE:
            return _of_the_whole(rule, situation)


def _of_the_whole(rule: TargetTrackingRule, situation: Situation) -> RuleOutcome:
    seen, current = total(rule, situation, rule.window_seconds), situation.given.current
    if seen is None:
        return _invalid(rule, Finding.NO_SAMPLES)
    value, demand = seen.value, divided(seen.value, rule.target) if rule.target else seen.value
    if rule.target_type is TargetType.TOTAL_AVERAGE:
        ratio, value = divided(demand, current), divided(seen.value, current or 1)
    else:
        ratio, demand = demand, demand * (situation.ready if current else 1)
    # From nothing there is no tolerance: whatever is asked for is made.
    tolerated = current != 0 and rule.tolerates(ratio)
    evidence = rule.evidence(ratio) if current else 1 if demand > 0 else -1
    acted_on = situation.given.history.acted_on
    # It was measured with another number of replicas than there is now: acting on it again would run away.
    used = (
        rule.target_type is TargetType.VALUE
        and acted_on is not None
        and acted_on.replicas == current
        and moment(seen.newest) <= acted_on.at
    )
    demand = float(current) if used else demand
    return RuleOutcome(
        rule=rule.name,
        kind=rule.kind,
        verdict=Verdict.RECOMMENDS,
        recommended=current if tolerated else replicas_for(demand),
        finding=Finding.WITHIN_TOLERANCE if tolerated else Finding.USED if used else None,
        evidence=evidence,
        measure=Measure.TOTAL if rule.target_type is TargetType.VALUE else Measure.PER_REPLICA,
        value=value,
        target=rule.target,
        ratio=ratio,
        reported=seen.series,
        watermark=moment(seen.newest),
        unit=rule.unit,
        due_at=moment(seen.oldest + rule.max_sample_age_seconds),
    )


def _per_replica(rule: TargetTrackingRule, situation: Situation) -> RuleOutcome:
    groups = group_replicas(rule, situation)
    if not groups.reported or groups.requested <= 0:
        finding = Finding.NO_REQUESTS if groups.reported else Finding.NONE_READY if groups.unready else None
        return _invalid(rule, finding or Finding.NO_SAMPLES, groups)
    value, demand = _measure(rule, groups.usage, groups.requested, groups.reported)
    ratio, current = divided(value, rule.target), situation.given.current
    rebalanced, finding = None, None
    evidence = rule.evidence(ratio)
    if groups.missing or (groups.unready and ratio > 1.0):
        rebalanced, demand = _rebalance(rule, groups, ratio)
        recommended = replicas_for(demand)
        turned = (ratio < 1.0 < rebalanced) or (rebalanced < 1.0 < ratio)
        evidence = 0 if turned else rule.evidence(rebalanced)
        if evidence == 0 or (recommended - current) * evidence < 0:
            recommended, finding = current, Finding.HELD_BY_REBALANCING
        else:
            finding = Finding.REBALANCED
    elif evidence == 0:
        recommended, finding = current, Finding.WITHIN_TOLERANCE
    else:
        recommended = replicas_for(demand)
    return RuleOutcome(
        rule=rule.name,
        kind=rule.kind,
        verdict=Verdict.RECOMMENDS,
        recommended=recommended,
        finding=finding,
        evidence=evidence,
        measure=Measure.UTILIZATION if rule.target_type is TargetType.UTILIZATION else Measure.MEAN,
        value=value,
        target=rule.target,
        ratio=ratio,
        rebalanced=rebalanced,
        reported=groups.reported,
        unready=groups.unready,
        missing=groups.missing,
        ignored=situation.leaving,
        unready_routes=groups.unready_routes,
        missing_routes=groups.missing_routes,
        watermark=moment(groups.newest),
        unit=rule.unit or ("%" if rule.target_type is TargetType.UTILIZATION else ""),
        due_at=moment(groups.oldest + rule.max_sample_age_seconds),
    )


def _rebalance(rule: TargetTrackingRule, groups: ReplicaGroups, ratio: float) -> tuple[float, float]:
    """Count again with the routes left out: what is unknown must not be the reason to act.

    When scaling down, those without a sample count as at the target, or for utilization as using all that they may
    (the target, if that is above 100 %); when scaling up they count as idle, and so do those that are not ready.
    """
    usage, requested, count = groups.usage, groups.requested, groups.reported + groups.missing
    utilization = rule.target_type is TargetType.UTILIZATION
    if ratio == 1.0:
        count -= groups.missing
    else:
        requested += groups.requested_by_missing
        if ratio < 1.0:
            full = max(100.0, rule.target) / 100.0
            usage += groups.requested_by_missing * full if utilization else groups.missing * rule.target
    if ratio > 1.0:
        requested += groups.requested_by_unready
        count += groups.unready
    value, demand = _measure(rule, usage, requested, count)
    return divided(value, rule.target), demand


def _measure(rule: TargetTrackingRule, usage: float, requested: float, count: int) -> tuple[float, float]:
    """The metric over ``count`` replicas in the target's terms, and how many replicas would bring it to the target."""
    if rule.target_type is TargetType.UTILIZATION:
        share = divided(usage, requested / 100.0)
        # Whole percents, cut off as HPA does; what rounding took from a whole one is given back.
        value = float(floor(share * (1 + 1e-12))) if abs(share) < _WHOLE_UP_TO else share
        return value, divided(value, rule.target) * count
    return divided(usage, count), divided(usage, rule.target)


def _invalid(rule: TargetTrackingRule, finding: Finding, groups: ReplicaGroups | None = None) -> RuleOutcome:
    return RuleOutcome(
        rule=rule.name,
        kind=rule.kind,
        verdict=Verdict.INVALID,
        finding=finding,
        target=rule.target,
        unready=groups.unready if groups else 0,
        missing=groups.missing if groups else 0,
        unready_routes=groups.unready_routes if groups else (),
        missing_routes=groups.missing_routes if groups else (),
        unit=rule.unit,
    )
