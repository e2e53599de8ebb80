"""From samples to a number of replicas: the one place where the kinds of rules come together.

Nothing here waits for a tick: an evaluation says itself when the next one is due.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple, assert_never

from domain.autoscaling.combine import combined, first_step, without_contradiction
from domain.autoscaling.conclusion import Circumstance, Conclusion, Proposal, conclude, due_dates, outside_bounds
from domain.autoscaling.decision import DecisionReason
from domain.autoscaling.evaluation import Evaluation
from domain.autoscaling.history import ActivityMemory, PanicMemory, PersistenceMemory, RuleMemory
from domain.autoscaling.outcome import RuleOutcome, Verdict
from domain.autoscaling.reasoning import Able, Active, Reasoning
from domain.autoscaling.request_driven import RequestDrivenRule, evaluate_request_driven
from domain.autoscaling.rules import MetricSource, ScalingPolicy, TargetType
from domain.autoscaling.scale_to_zero import ScaleToZeroRule, evaluate_scale_to_zero
from domain.autoscaling.schedule import evaluate_schedule
from domain.autoscaling.situation import Bounds, ScalingInput, Situation
from domain.autoscaling.step import StepRule, evaluate_step
from domain.autoscaling.target_tracking import TargetTrackingRule, evaluate_target_tracking
from domain.autoscaling.window_with_panic import WindowWithPanicRule, evaluate_window_with_panic

__all__ = ["Evaluation", "ScalingInput", "evaluate"]

#: The soonest that an evaluation is due again (seconds): times are rounded, and nothing is won by looking sooner.
SOONEST: Final = 0.01


class _Seen(NamedTuple):
    """The outcomes of the rules: those that size the deployment in their order, step rules as one, and the gates."""

    every: tuple[RuleOutcome, ...]
    sizing: tuple[RuleOutcome, ...]
    gates: tuple[RuleOutcome, ...]
    memories: Mapping[str, RuleMemory]


def evaluate(policy: ScalingPolicy, given: ScalingInput, now: datetime) -> Evaluation:
    """Say how many replicas there should be at ``now``, and how that came about."""
    schedules = [evaluate_schedule(rule, now) for rule in policy.rules if rule.kind == "schedule"]
    bounds = _bounds(policy, schedules)
    if given.override is not None:
        return _fixed(policy, given, bounds, given.override, DecisionReason.OVERRIDDEN)
    if given.stopped and given.current == 0:
        return _fixed(policy, given, bounds, 0, DecisionReason.DISABLED)
    pace = policy.pace
    history = given.history.after_override(given.override_ended).begun(given.current, now, policy.memory_seconds)
    if given.current != bounds.clamp(given.current):
        around = Circumstance(given.current, now, bounds, pace, policy.pause)
        return _evaluation(policy, given, outside_bounds(around, history, schedules), now)
    situation = Situation.of(given, now, bounds, history.memories)
    seen = _seen(policy, situation)
    proposal = _proposal(policy, given, seen)
    if seen.gates and given.current > 0 and not proposal.unheld:
        # The last replica is for the gates alone to take.
        bounds = Bounds(max(1, bounds.least), max(1, bounds.most))
    around = Circumstance(given.current, now, bounds, pace, policy.pause, given.override_ended)
    history = history.recommended(proposal.replicas, now, seen.memories)
    return _evaluation(policy, given, conclude(proposal, around, history, (*seen.every, *schedules)), now)


def _bounds(policy: ScalingPolicy, schedules: Sequence[RuleOutcome]) -> Bounds:
    """The policy's bounds, narrowed by the windows that are open; where floor and ceiling cross, the floor counts."""
    if not schedules:
        return Bounds(policy.min_replicas, policy.max_replicas)
    open_now = {outcome.rule for outcome in schedules if outcome.verdict is Verdict.OPEN}
    rules = [rule for rule in policy.rules if rule.kind == "schedule" and rule.name in open_now]
    floors = [rule.floor for rule in rules if rule.floor is not None]
    ceilings = [rule.ceiling for rule in rules if rule.ceiling is not None]
    least = policy.clamp(max(floors, default=policy.min_replicas))
    return Bounds(least, max(least, policy.clamp(max(ceilings, default=policy.max_replicas))))


def _seen(policy: ScalingPolicy, situation: Situation) -> _Seen:
    current = situation.given.current
    every: list[RuleOutcome] = []
    sizing: list[RuleOutcome] = []
    gates: list[RuleOutcome] = []
    remembered: dict[str, RuleMemory] = {}
    steps = [rule for rule in policy.rules if rule.kind == "step"]
    if steps:
        steps.sort(key=lambda rule: -rule.priority)
        outcomes, stands_for_all = first_step([evaluate_step(rule, situation) for rule in steps])
        every += outcomes
        sizing.append(stands_for_all)
    for rule in policy.rules:
        if rule.kind == "step":
            continue
        if rule.kind == "schedule":
            continue
        outcome, memory = _evaluated(rule, situation)
        outcome = without_contradiction(outcome, current)
        every.append(outcome)
        (gates if rule.kind == "scale-to-zero" else sizing).append(outcome)
        if memory is not None:
            remembered[rule.name] = memory
    return _Seen(tuple(every), tuple(sizing), tuple(gates), remembered)


def _evaluated(
    rule: TargetTrackingRule | WindowWithPanicRule | RequestDrivenRule | ScaleToZeroRule, situation: Situation
) -> tuple[RuleOutcome, RuleMemory | None]:
    # By kind and not by class: pydantic's instance checks run Python code, and this is done for every sample.
    if rule.kind == "target-tracking":
        return evaluate_target_tracking(rule, situation), None
    memory = situation.memories.get(rule.name)
    if rule.kind == "window-with-panic":
        return evaluate_window_with_panic(rule, situation, memory if isinstance(memory, PanicMemory) else None)
    if rule.kind == "request-driven":
        return evaluate_request_driven(rule, situation, memory if isinstance(memory, PersistenceMemory) else None)
    if rule.kind == "scale-to-zero":
        return evaluate_scale_to_zero(rule, situation, memory if isinstance(memory, ActivityMemory) else None)
    assert_never(rule)


def _proposal(policy: ScalingPolicy, given: ScalingInput, seen: _Seen) -> Proposal:
    if seen.gates:
        gated = _gated(policy, given, seen)
        if gated is not None:
            return gated
    if not seen.sizing:
        count = given.current if given.baseline is None else given.baseline
        # Those that it was woken with stay.
        woken = [rule.cold_start_replicas for rule in policy.rules if rule.kind == "scale-to-zero"]
        count = max(count, min(given.current, max(woken, default=0)))
        active = Active.NO_OPINION if policy.rules else Active.NO_RULES
        return Proposal(count, reason=DecisionReason.MANUAL, active=active)
    sized = combined(seen.sizing, given.current, policy.combine)
    if sized.blocked is not None:
        return Proposal(active=_unavailable(policy, sized.blocked))
    if sized.replicas is None:
        return Proposal(given.current, active=Active.NO_OPINION)
    return Proposal(sized.replicas, sized.winner)


def _gated(policy: ScalingPolicy, given: ScalingInput, seen: _Seen) -> Proposal | None:
    """What the rules about zero come to; ``None`` where they leave it to the others."""
    awake = [outcome for outcome in seen.gates if outcome.verdict is Verdict.ACTIVE]
    if given.current > 0:
        # A rule that cannot tell keeps the last replica as it keeps any other.
        blind = any(outcome.verdict is Verdict.INVALID for outcome in seen.every)
        if not blind and all(outcome.verdict is Verdict.IDLE for outcome in seen.gates):
            return Proposal(0, seen.gates[0].rule, unheld=True)
        return None
    if not awake:
        blocked = next((outcome for outcome in seen.gates if outcome.verdict is Verdict.INVALID), None)
        return Proposal(0, active=_unavailable(policy, blocked) if blocked else Active.VALID, unheld=True)
    start = max(awake, key=lambda outcome: outcome.recommended or 0)
    least = max(start.recommended or 1, 1)
    sized = combined(seen.sizing, 0, policy.combine) if seen.sizing else None
    if sized is not None and sized.replicas is not None and sized.replicas > least:
        return Proposal(sized.replicas, sized.winner, unheld=True, unlimited=True)
    if not seen.sizing and given.baseline is not None:
        least = max(least, given.baseline)
    return Proposal(least, start.rule, unheld=True, unlimited=True)


def _unavailable(policy: ScalingPolicy, blocked: RuleOutcome) -> Active:
    """The name that HPA has for the kind of metric that is missing."""
    rule = next(rule for rule in policy.rules if rule.name == blocked.rule)
    match rule:
        case TargetTrackingRule(target_type=TargetType.UTILIZATION):
            return Active.NO_UTILIZATION
        case TargetTrackingRule(target_type=TargetType.AVERAGE_VALUE) | StepRule(source=MetricSource.KERNEL):
            return Active.NO_REPLICA_METRIC
        case _:
            return Active.NO_TOTAL


def _fixed(
    policy: ScalingPolicy, given: ScalingInput, bounds: Bounds, count: int, reason: DecisionReason
) -> Evaluation:
    """The count is not for the rules to decide."""
    active = Active.OVERRIDDEN if reason is DecisionReason.OVERRIDDEN else Active.DISABLED
    able = Able.READY if count == given.current else Able.RESCALED
    reasoning = Reasoning(least=bounds.least, most=bounds.most, active=active, able=able)
    return Evaluation(
        previous=given.current,
        desired=count,
        reason=reason,
        reasoning=reasoning,
        history=given.history,
        due_at=None,
        rules=policy.rules,
    )


def _evaluation(policy: ScalingPolicy, given: ScalingInput, conclusion: Conclusion, now: datetime) -> Evaluation:
    dues = [outcome.due_at for outcome in conclusion.reasoning.rules if outcome.due_at is not None]
    dues += due_dates(conclusion, now)
    return Evaluation(
        previous=given.current,
        desired=conclusion.desired,
        reason=conclusion.reason,
        reasoning=conclusion.reasoning,
        history=conclusion.history,
        due_at=max(min(dues), now + timedelta(seconds=SOONEST)) if dues else None,
        rules=policy.rules,
    )
