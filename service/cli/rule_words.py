"""Scaling rules of every kind in words, with their numbers."""

from typing import assert_never

from domain.autoscaling.rules import (
    RequestDrivenRule,
    ScaleToZeroRule,
    ScalingRule,
    ScheduleRule,
    StepRule,
    TargetTrackingRule,
    TargetType,
    WindowWithPanicRule,
)
from service.cli.moments import length
from service.cli.scaling_words import describe_step, replicas


def describe_rule(rule: ScalingRule) -> str:
    """Write what a rule does, and when."""
    match rule:
        case StepRule():
            return describe_step(rule)
        case TargetTrackingRule():
            return _describe_target(rule)
        case WindowWithPanicRule():
            return (
                f"keep {rule.metric} at {rule.goal:g} per replica over {length(rule.stable_window_seconds)}, "
                f"in a panic over {length(rule.panic_window_seconds)}"
            )
        case RequestDrivenRule():
            return (
                f"keep {rule.metric} at {rule.target_ongoing_requests:g} per replica; add after "
                f"{length(rule.upscale_delay_seconds)}, remove after {length(rule.downscale_delay_seconds)}"
            )
        case ScheduleRule():
            return _describe_schedule(rule)
        case ScaleToZeroRule():
            return (
                f"go to zero once {rule.metric} has not been > {rule.activation_threshold:g} for "
                f"{length(rule.cooldown_seconds)}, come back with {replicas(rule.cold_start_replicas)}"
            )
        case _:
            assert_never(rule)


def _describe_target(rule: TargetTrackingRule) -> str:
    target = f"{rule.target:g}{f' {rule.unit}' if rule.unit else ''}"
    tolerance = f"tolerating {rule.scale_down_tolerance:.0%} below and {rule.scale_up_tolerance:.0%} above"
    match rule.target_type:
        case TargetType.AVERAGE_VALUE:
            seen = f"the replicas' mean {rule.metric} at {target}"
        case TargetType.UTILIZATION:
            seen = f"the replicas' use of {rule.metric} at {rule.target:g} %"
        case TargetType.VALUE:
            seen = f"{rule.metric} at {target}"
        case TargetType.TOTAL_AVERAGE:
            seen = f"{rule.metric} at {target} per replica"
        case _:
            assert_never(rule.target_type)
    return f"keep {seen}, {tolerance}"


def _describe_schedule(rule: ScheduleRule) -> str:
    limits = [f"at least {replicas(rule.floor)}"] if rule.floor is not None else []
    limits += [f"at most {replicas(rule.ceiling)}"] if rule.ceiling is not None else []
    return f"{' and '.join(limits)} from {rule.start!r} to {rule.end!r}, {rule.time_zone} time"
