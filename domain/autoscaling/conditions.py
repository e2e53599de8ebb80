"""The conditions of autoscaling in the manner of Kubernetes' HPA: a status and a reason that programs may compare.

Derived from an evaluation or a stored decision alone; when one last changed is for whoever watches it to note.
"""

from enum import StrEnum
from typing import NamedTuple

from domain.autoscaling.outcome import Verdict
from domain.autoscaling.reasoning import Able, Active, Limited, Reasoning


class ScalingConditionType(StrEnum):
    """What is asked about the scaling of a deployment."""

    ABLE_TO_SCALE = "AbleToScale"
    SCALING_ACTIVE = "ScalingActive"
    SCALING_LIMITED = "ScalingLimited"
    SCALED_TO_ZERO = "ScaledToZero"


class ScalingCondition(NamedTuple):
    """One answer; ``reason`` is a word that programs may compare, ``message`` is for people."""

    type: ScalingConditionType
    status: bool
    reason: str
    message: str


def scaling_conditions(reasoning: Reasoning, desired: int) -> tuple[ScalingCondition, ...]:
    """Give every condition that follows from a decision for ``desired`` replicas, always in the same order."""
    return (_able(reasoning), _active(reasoning), _limited(reasoning), _at_zero(reasoning, desired))


def _able(why: Reasoning) -> ScalingCondition:
    messages = {
        Able.READY: "the number may change",
        Able.RESCALED: "the number has just been changed",
        Able.UP_STABILIZED: "recent recommendations were lower, and the lowest of them counts",
        Able.DOWN_STABILIZED: "recent recommendations were higher, and the highest of them counts",
        Able.PAUSED: "changes in this direction are paused",
    }
    able = why.able is not Able.PAUSED
    return ScalingCondition(ScalingConditionType.ABLE_TO_SCALE, able, why.able, messages[why.able])


def _active(why: Reasoning) -> ScalingCondition:
    messages = {
        Active.VALID: "the rules can tell how many are needed",
        Active.NO_OPINION: "no rule has a reason to act",
        Active.NO_RULES: "there are no rules",
        Active.BOUNDS_FIRST: "the number was outside the bounds; rules are asked once it is inside",
        Active.DISABLED: "the number was set to 0 by hand",
        Active.OVERRIDDEN: "the number is held against the rules",
    }
    blind = [outcome.rule for outcome in why.rules if outcome.verdict is Verdict.INVALID]
    message = messages.get(why.active, f"no samples that count for {', '.join(blind)}")
    return ScalingCondition(ScalingConditionType.SCALING_ACTIVE, why.active.is_active, why.active, message)


def _limited(why: Reasoning) -> ScalingCondition:
    messages = {
        Limited.NO: "the number is the recommended one",
        Limited.TOO_FEW: f"the recommendation is below the least, {why.least}",
        Limited.TOO_MANY: f"the recommendation is above the most, {why.most}",
        Limited.UP_LIMIT: "the number grows as fast as it may",
        Limited.DOWN_LIMIT: "the number shrinks as fast as it may",
    }
    limited = why.limited is not Limited.NO
    return ScalingCondition(ScalingConditionType.SCALING_LIMITED, limited, why.limited, messages[why.limited])


def _at_zero(why: Reasoning, desired: int) -> ScalingCondition:
    if desired > 0:
        return ScalingCondition(ScalingConditionType.SCALED_TO_ZERO, status=False, reason="NotAtZero", message="")
    by_hand = why.active in {Active.DISABLED, Active.OVERRIDDEN, Active.NO_RULES}
    reason, message = ("ByHand", "somebody asked for 0") if by_hand else ("ScaledToZero", "the rules came to 0")
    return ScalingCondition(ScalingConditionType.SCALED_TO_ZERO, not by_hand, reason, message)
