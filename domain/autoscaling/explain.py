"""Decisions in words and numbers, such as ``7 → 9: rule latency: …, mean 412 ms / target 300 ms = 1.37 → 10; …``."""

from typing import Final, Protocol, assert_never

from domain.autoscaling.behavior import RateLimit, RateUnit
from domain.autoscaling.decision import DecisionReason
from domain.autoscaling.outcome_words import describe_outcome
from domain.autoscaling.reasoning import Able, Active, Limited, Reasoning
from domain.message import MAX_REPLICAS

#: Most rules besides the winner that an explanation goes through (count).
_OTHERS: Final = 8


class Explicable(Protocol):
    """An evaluation, or a decision as it was stored."""

    @property
    def previous(self) -> int:
        """Replicas before it."""
        ...

    @property
    def desired(self) -> int:
        """Replicas after it."""
        ...

    @property
    def reason(self) -> DecisionReason:
        """Why."""
        ...

    @property
    def reasoning(self) -> Reasoning | None:
        """The whole chain; decisions of the first release have none."""
        ...


def explain(decided: Explicable) -> str:
    """Say in one line how the count came about, with every number that had a part in it."""
    why = decided.reasoning
    said = [_in_short(decided.reason)] if why is None else _chain(decided, why)
    return f"{decided.previous} → {decided.desired}: {'; '.join(said)}"


def _chain(decided: Explicable, why: Reasoning) -> list[str]:
    match decided.reason:
        case DecisionReason.OVERRIDDEN | DecisionReason.DISABLED:
            return [_in_short(decided.reason)]
        case DecisionReason.BOUNDS if not any(outcome.value is not None for outcome in why.rules):
            said = [f"{decided.previous} is outside {_bounds(why)}"]
        case DecisionReason.MANUAL:
            said = [_in_short(decided.reason)]
        case _:
            said = []
    current = decided.previous
    winner = why.outcome_of(why.winner)
    others = [outcome for outcome in why.rules if outcome is not winner]
    said += [describe_outcome(outcome, current) for outcome in ([winner] if winner else []) + others[:_OTHERS]]
    if len(others) > _OTHERS:
        said.append(f"{len(others) - _OTHERS} more rules")
    return [*said, *_consequences(decided, why)] or [_in_short(decided.reason)]


def _consequences(decided: Explicable, why: Reasoning) -> list[str]:
    """What became of what the rules recommend."""
    if why.combined is None:
        return ["nothing is removed while a rule cannot tell"] if decided.reason is DecisionReason.NO_METRICS else []
    said = []
    if why.stabilization is not None:
        which = "highest" if why.combined < why.stabilization.held_at else "lowest"
        moment = f"{why.stabilization.since:%H:%M:%S}"
        said.append(
            f"held at {why.stabilization.held_at} by the {which} recommendation of the last "
            f"{why.stabilization.window_seconds:g} s (of {moment})"
        )
    match why.limited:
        case _ if why.active is Active.BOUNDS_FIRST:
            pass
        case Limited.NO:
            pass
        case Limited.UP_LIMIT | Limited.DOWN_LIMIT:
            said.append(f"{_policy(why.limited, why.rate_limit)} → {why.limited_to}")
        case Limited.TOO_FEW:
            said.append(f"at least {why.least} → {why.limited_to}")
        case Limited.TOO_MANY:
            said.append(f"at most {why.most} → {why.limited_to}")
        case _:
            assert_never(why.limited)
    if why.able is Able.PAUSED:
        said.append(f"paused, so it stays at {decided.desired}")
    return said


def _policy(limited: Limited, rate: RateLimit | None) -> str:
    direction = "scale-up" if limited is Limited.UP_LIMIT else "scale-down"
    if rate is None or rate.policy is None:
        return f"{direction} disabled"
    percent = " %" if rate.policy.unit is RateUnit.PERCENT else ""
    return f"{direction} policy {rate.policy.value}{percent} per {rate.policy.period_seconds:g} s from {rate.start}"


def _bounds(why: Reasoning) -> str:
    return f"the bounds {why.least} to {why.most}" if why.most < MAX_REPLICAS else f"the bound of at least {why.least}"


def _in_short(reason: DecisionReason) -> str:
    match reason:
        case DecisionReason.RULE:
            return "a rule fired"
        case DecisionReason.MANUAL:
            return "no rule sizes it, so the number set by hand counts"
        case DecisionReason.BOUNDS:
            return "the number was outside the bounds"
        case DecisionReason.UNCHANGED:
            return "the rules want no change"
        case DecisionReason.STABILIZED:
            return "recent recommendations were against a change"
        case DecisionReason.RATE_LIMITED:
            return "there were enough changes in the last time"
        case DecisionReason.NO_METRICS:
            return "the rules cannot tell for want of samples"
        case DecisionReason.PAUSED:
            return "changes are paused"
        case DecisionReason.OVERRIDDEN:
            return "the number is held against the rules"
        case DecisionReason.DISABLED:
            return "it was set to 0 by hand, and the rules leave it there"
        case _:
            assert_never(reason)
