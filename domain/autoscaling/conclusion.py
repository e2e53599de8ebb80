"""From what the rules came to together to the count that there is to be: hold it, slow it, bound it, pause it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from domain.autoscaling.behavior import Pace, RateLimit, rate_limit, stabilized
from domain.autoscaling.decision import DecisionReason
from domain.autoscaling.history import Recommendation, ScalingHistory
from domain.autoscaling.outcome import RuleOutcome
from domain.autoscaling.reasoning import Able, Active, Limited, Reasoning
from domain.autoscaling.rules import Pause
from domain.autoscaling.situation import Bounds


class Proposal(NamedTuple):
    """What the rules came to: ``replicas``, or ``None`` for no change, by the rule ``winner``.

    ``reason`` is the one to give if it comes true. An ``unheld`` proposal waits for no stabilization, an ``unlimited``
    one for no rate policy either.
    """

    replicas: int | None = None
    winner: str | None = None
    reason: DecisionReason = DecisionReason.RULE
    active: Active = Active.VALID
    unheld: bool = False
    unlimited: bool = False


class Conclusion(NamedTuple):
    """The count that there is to be, why, and what to remember of it."""

    desired: int
    reason: DecisionReason
    reasoning: Reasoning
    history: ScalingHistory


class _Limit(NamedTuple):
    replicas: int
    limited: Limited
    rate: RateLimit | None = None


class Circumstance(NamedTuple):
    """What a conclusion is drawn in; the count that an override ``held`` until it ended is one more recommendation."""

    current: int
    now: datetime
    bounds: Bounds
    pace: Pace
    pause: Pause
    held: Recommendation | None = None


def conclude(
    proposal: Proposal, around: Circumstance, history: ScalingHistory, outcomes: Sequence[RuleOutcome]
) -> Conclusion:
    """Take a proposal through stabilization, rate policies, bounds and pause, in this order.

    ``history`` holds what the proposal recommends already.
    """
    current, now, bounds, pace, pause, held = around
    able, stabilization, count = Able.READY, None, current
    limit = _Limit(current, Limited.NO)
    if proposal.replicas is not None:
        count = proposal.replicas
        if not proposal.unheld:
            count, stabilization = stabilized(proposal.replicas, current, history.recalling(held), now, pace)
        if stabilization is not None:
            able = Able.DOWN_STABILIZED if proposal.replicas < count else Able.UP_STABILIZED
        limit = _limited(count, around, history, rated=not proposal.unlimited)
    desired = current if pause.forbids(limit.replicas - current) else limit.replicas
    if desired != limit.replicas:
        able = Able.PAUSED
    elif desired != current:
        able = Able.RESCALED
        history = history.changed(desired - current, now, _acted_on(outcomes, desired))
    reasoning = Reasoning(
        rules=tuple(outcomes),
        winner=proposal.winner,
        combined=proposal.replicas,
        stabilization=stabilization,
        stabilized=None if proposal.replicas is None else count,
        rate_limit=limit.rate,
        limited_to=None if proposal.replicas is None else limit.replicas,
        least=bounds.least,
        most=bounds.most,
        able=able,
        active=proposal.active,
        limited=limit.limited,
        watermark=_watermark(outcomes),
    )
    return Conclusion(desired, _reason(proposal, desired, current, reasoning), reasoning, history)


def outside_bounds(around: Circumstance, history: ScalingHistory, outcomes: Sequence[RuleOutcome]) -> Conclusion:
    """Bring a count that is outside the bounds inside, without asking any metric."""
    current, now, bounds, _, pause, _ = around
    wanted = bounds.clamp(current)
    paused = pause.forbids(wanted - current)
    desired = current if paused else wanted
    winner = next((outcome.rule for outcome in outcomes if wanted in {outcome.floor, outcome.ceiling}), None)
    reasoning = Reasoning(
        rules=tuple(outcomes),
        winner=winner,
        combined=wanted,
        stabilized=wanted,
        limited_to=wanted,
        least=bounds.least,
        most=bounds.most,
        able=Able.PAUSED if paused else Able.RESCALED,
        active=Active.BOUNDS_FIRST,
        limited=Limited.TOO_MANY if wanted < current else Limited.TOO_FEW,
    )
    reason = DecisionReason.PAUSED if paused else DecisionReason.BOUNDS
    history = history.recommended(None, now)
    return Conclusion(desired, reason, reasoning, history if paused else history.changed(desired - current, now))


def due_dates(conclusion: Conclusion, now: datetime) -> list[datetime]:
    """When what held or slowed the count lets go."""
    dues, why = [], conclusion.reasoning
    if why.stabilization is not None:
        dues.append(why.stabilization.since + timedelta(seconds=why.stabilization.window_seconds))
    if why.limited.by_rate and why.rate_limit and why.rate_limit.policy:
        period = timedelta(seconds=why.rate_limit.policy.period_seconds)
        dues += [at + period for at, _ in conclusion.history.changes if at + period > now][:1]
    return dues


def _limited(count: int, around: Circumstance, history: ScalingHistory, *, rated: bool) -> _Limit:
    current, now, bounds, pace, _, _ = around
    if count > current:
        rate = rate_limit(pace, current, 1, history, now) if rated else None
        most, limited = bounds.most, Limited.TOO_MANY
        # A limit that is used up stops the count where it is; it never turns it around.
        if rate is not None and max(rate.limit, current) < most:
            most, limited = max(rate.limit, current), Limited.UP_LIMIT
        return _Limit(most, limited, rate) if count > most else _Limit(count, Limited.NO, rate)
    if count < current:
        rate = rate_limit(pace, current, -1, history, now) if rated else None
        least, limited = bounds.least, Limited.TOO_FEW
        if rate is not None and min(rate.limit, current) > least:
            least, limited = min(rate.limit, current), Limited.DOWN_LIMIT
        return _Limit(least, limited, rate) if count < least else _Limit(count, Limited.NO, rate)
    return _Limit(count, Limited.NO)


def _acted_on(outcomes: Sequence[RuleOutcome], desired: int) -> Recommendation | None:
    watermark = _watermark(outcomes)
    return None if watermark is None else Recommendation(watermark, desired)


def _watermark(outcomes: Sequence[RuleOutcome]) -> datetime | None:
    return max([outcome.watermark for outcome in outcomes if outcome.watermark is not None], default=None)


def _reason(proposal: Proposal, desired: int, current: int, why: Reasoning) -> DecisionReason:
    if desired != current:
        return proposal.reason
    if why.able is Able.PAUSED:
        return DecisionReason.PAUSED
    if proposal.replicas is None or proposal.replicas == current:
        return DecisionReason.UNCHANGED if proposal.active.is_active else DecisionReason.NO_METRICS
    if why.stabilized == current:
        return DecisionReason.STABILIZED
    return DecisionReason.RATE_LIMITED if why.limited.by_rate else DecisionReason.BOUNDS
