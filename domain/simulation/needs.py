"""Which samples a rule can use: not every rule can use what is measured of a route, or of the deployment as a whole."""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from domain.autoscaling.metric import MetricRule, MetricSource
from domain.autoscaling.step import StepRule
from domain.autoscaling.target_tracking import TargetTrackingRule, TargetType


class MeasuredOf(StrEnum):
    """What a sample is measured of."""

    ROUTES = "routes"
    WHOLE = "the deployment as a whole"


class Need(NamedTuple):
    """A metric of which a rule needs samples, of any of these."""

    source: MetricSource
    metric: str
    of: frozenset[MeasuredOf]


def needs_of(rule: MetricRule) -> Sequence[Need]:
    """All metrics that a rule cannot do without."""
    metrics = [rule.metric]
    of = frozenset(MeasuredOf)
    match rule:
        case TargetTrackingRule(target_type=TargetType.AVERAGE_VALUE | TargetType.UTILIZATION):
            of = frozenset({MeasuredOf.ROUTES})
            metrics += [rule.request_metric] if rule.request_metric is not None else []
        case StepRule(source=MetricSource.KERNEL):
            of = frozenset({MeasuredOf.ROUTES})
        case StepRule(source=MetricSource.INFERENCE_FRAMEWORK):
            of = frozenset({MeasuredOf.WHOLE})
        case _:
            pass
    return [Need(rule.source, metric, of) for metric in metrics]
