"""Scaling policies, rules and decisions in words, with their numbers."""

from typing import assert_never

from domain.autoscaling.decision import DecisionReason, RuleEvaluation, ScalingDecision
from domain.autoscaling.explain import explain
from domain.autoscaling.rules import Comparator, MetricSource, Pause, ScalingPolicy
from domain.autoscaling.step import StepRule
from domain.message import MAX_REPLICAS
from service.cli.moments import length


def describe_bounds(least: int, most: int) -> str:
    """Write bounds: ``1 to 10 replicas``, ``at least 1 replica``."""
    if least == most:
        return f"always {replicas(least)}"
    if most == MAX_REPLICAS:
        return f"at least {replicas(least)}" if least else "any number of replicas"
    return f"{least} to {replicas(most)}" if least else f"at most {replicas(most)}"


def describe_policy(policy: ScalingPolicy) -> str:
    """Write what a policy holds, without the rules' own numbers: ``2 rules (busy, idle), 1 to 10 replicas``."""
    names = ", ".join(rule.name for rule in policy.rules)
    rules = f"{number(len(policy.rules), 'rule')} ({names})" if names else "no rules"
    return f"{rules}, {describe_bounds(policy.min_replicas, policy.max_replicas)}"


def describe_step(rule: StepRule) -> str:
    """Write what a step rule does, and when."""
    seen = _aggregated(rule.source, rule.metric)
    if rule.comparator is not None and rule.threshold is not None:
        said = _step_when(rule.step, f"{seen} {_symbol(rule.comparator)} {rule.threshold:g}")
    else:
        up, down = rule.scale_up_threshold, rule.scale_down_threshold
        both = [_step_when(rule.step, f"{seen} > {up:g}")] if up is not None else []
        both += [_step_when(-rule.step, f"{seen} < {down:g}")] if down is not None else []
        said = ", ".join(both)
    rest = f", then rest for {length(rule.cooldown_seconds)}" if rule.cooldown_seconds else ", again and again"
    bounded = (rule.min_replicas, rule.max_replicas) != (0, MAX_REPLICAS)
    return said + rest + (f"; {describe_bounds(rule.min_replicas, rule.max_replicas)}" if bounded else "")


def describe_decision(decision: ScalingDecision) -> str:
    """Write a decision with the arithmetic that led to it."""
    change = f"{decision.previous} → {decision.desired} desired replicas"
    if decision.reasoning is not None:
        return f"{change}: {explain(decision).partition(': ')[2]}"
    match decision.reason:
        case DecisionReason.MANUAL:
            return f"{change}: there are no rules, so the number set by hand counts"
        case DecisionReason.BOUNDS:
            return f"{change}: the number was outside the policy's bounds"
        case DecisionReason.RULE if decision.evaluation is not None:
            return f"{change}: {_evaluated(decision, decision.evaluation)}"
        case _:
            return f"{change}: {explain(decision).partition(': ')[2]}"


def describe_pause(pause: Pause) -> str:
    """Write what the scaling rules may do under a pause."""
    match pause:
        case Pause.NONE:
            return "scaling not paused: the rules may add and remove"
        case Pause.SCALE_IN:
            return "scaling in paused: the rules may add but not remove"
        case Pause.SCALE_OUT:
            return "scaling out paused: the rules may remove but not add"
        case Pause.ALL:
            return "scaling paused: the rules may neither add nor remove"
        case _:
            assert_never(pause)


def replicas(count: int) -> str:
    """``1 replica``, ``2 replicas``."""
    return number(count, "replica")


def number(count: int, what: str) -> str:
    """``1 route``, ``2 routes``."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _step_when(step: int, condition: str) -> str:
    change = f"add {replicas(step)}" if step > 0 else f"remove {replicas(-step)}"
    return f"{change} when {condition}"


def _evaluated(decision: ScalingDecision, evaluation: RuleEvaluation) -> str:
    step = evaluation.unclamped - decision.previous
    sign = "+" if step >= 0 else "-"
    holds = f"{evaluation.metric:.6g} {_symbol(evaluation.comparator)} {evaluation.threshold:g}"
    said = (
        f"rule {evaluation.rule} saw {_aggregated(evaluation.source, evaluation.metric_name)} at {holds} "
        f"({number(evaluation.samples, 'sample')}), so {decision.previous} {sign} {abs(step)} = {evaluation.unclamped}"
    )
    if evaluation.proposed != evaluation.unclamped:
        said += f", cut to {evaluation.proposed} by the rule's bounds"
    if decision.desired != evaluation.proposed:
        said += f", cut to {decision.desired} by the policy's bounds"
    return said


def _aggregated(source: MetricSource, metric: str) -> str:
    match source:
        case MetricSource.KERNEL:
            return f"the replicas' mean {metric}"
        case MetricSource.INFERENCE_FRAMEWORK:
            return f"{metric} per replica"
        case MetricSource.PROMETHEUS:
            return metric
        case _:
            assert_never(source)


def _symbol(comparator: Comparator) -> str:
    match comparator:
        case Comparator.LESS_THAN:
            return "<"
        case Comparator.LESS_THAN_OR_EQUAL:
            return "≤"
        case Comparator.GREATER_THAN:
            return ">"
        case Comparator.GREATER_THAN_OR_EQUAL:
            return "≥"
        case _:
            assert_never(comparator)
