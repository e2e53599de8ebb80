"""As many replicas as the requests in flight need, once the need has lasted: Ray Serve's autoscaling.

The arithmetic is that of ``python/ray/serve/autoscaling_policy.py``. Delays there are counted in turns of a loop, so
that a slow loop stretches them; here they are seconds for which a need must have lasted.
"""

from datetime import datetime, timedelta
from math import ceil
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from domain.autoscaling.history import PersistenceMemory
from domain.autoscaling.metric import MetricRule
from domain.autoscaling.outcome import MAX_COUNT, Finding, Measure, RuleOutcome, Verdict, divided, moment, replicas_for
from domain.autoscaling.situation import Situation, Total, total
from domain.message import ReplicaCount, Seconds


class RequestDrivenRule(MetricRule):
    """Keep ``target_ongoing_requests`` (mean over ``look_back_seconds``, running and queued) per replica.

    Of the difference to the current count ``upscaling_factor`` or ``downscaling_factor`` is made good, once it has
    pointed the same way for ``upscale_delay_seconds`` or ``downscale_delay_seconds``; the last replica goes in a step
    of its own, after ``downscale_to_zero_delay_seconds`` (default: the same delay). Counts are rounded up to a multiple
    of ``multiple_of``, for replicas that are placed in gangs.
    """

    kind: Literal["request-driven"] = "request-driven"
    target_ongoing_requests: Annotated[float, Field(gt=0)] = 2.0
    upscaling_factor: Annotated[float, Field(gt=0)] = 1.0
    downscaling_factor: Annotated[float, Field(gt=0)] = 1.0
    upscale_delay_seconds: Seconds = 30.0
    downscale_delay_seconds: Seconds = 600.0
    downscale_to_zero_delay_seconds: Seconds | None = None
    look_back_seconds: Annotated[Seconds, Field(le=3600)] = 30.0
    multiple_of: Annotated[ReplicaCount, Field(ge=1, le=1000)] = 1


class _Wish(NamedTuple):
    """A count of replicas, and how long the demand for it must have lasted (seconds)."""

    replicas: int
    delay: float
    finding: Finding | None = None


def evaluate_request_driven(
    rule: RequestDrivenRule, situation: Situation, memory: PersistenceMemory | None
) -> tuple[RuleOutcome, PersistenceMemory | None]:
    """Recommend what the requests need, or the current count while the need has not lasted long enough."""
    seen, current, now = total(rule, situation, rule.look_back_seconds), situation.given.current, situation.now
    if seen is None:
        outcome = RuleOutcome(
            rule=rule.name,
            kind=rule.kind,
            verdict=Verdict.INVALID,
            finding=Finding.NO_SAMPLES,
            target=rule.target_ongoing_requests,
            unit=rule.unit,
        )
        return outcome, memory
    wish = _wish(rule, situation, seen.value)
    direction = (wish.replicas > current) - (wish.replicas < current)
    changes = situation.given.history.changes
    # Each change of the count begins the wait anew, as it does when the demand turns. That the need is ripe does not:
    # stabilization, rates, a pause or another rule may keep it from being met for now.
    met = memory is not None and bool(changes) and changes[-1].at >= memory.since
    if direction and (memory is None or met or memory.direction != direction or memory.since > now):
        memory = PersistenceMemory(direction=direction, since=now)
    elif not direction:
        memory = None
    ripe_at = memory.since + timedelta(seconds=wish.delay) if memory else None
    waits = ripe_at is not None and now < ripe_at
    outcome = RuleOutcome(
        rule=rule.name,
        kind=rule.kind,
        verdict=Verdict.RECOMMENDS,
        recommended=current if waits else wish.replicas,
        finding=Finding.WAITING if waits else wish.finding,
        evidence=direction,
        measure=Measure.PER_REPLICA,
        value=divided(seen.value, current or 1),
        target=rule.target_ongoing_requests,
        ratio=divided(seen.value, rule.target_ongoing_requests * (current or 1)),
        unclamped=wish.replicas,
        reported=seen.series,
        watermark=moment(seen.newest),
        unit=rule.unit,
        due_at=_due_at(rule, seen, ripe_at if waits else None),
    )
    return outcome, memory


def _wish(rule: RequestDrivenRule, situation: Situation, requests: float) -> _Wish:
    current = situation.given.current
    if situation.ready == 0:
        if requests <= 0:
            return _Wish(current, 0.0)
        count = max(ceil(rule.upscaling_factor), current)
        return _Wish(_whole_gangs(rule, situation, count), 0.0, Finding.COLD_START)
    demand = divided(requests, rule.target_ongoing_requests)
    factor = rule.upscaling_factor if demand > current else rule.downscaling_factor
    count = replicas_for(current + factor * (demand - current))
    # A factor below 1 must not keep the count from ever getting there.
    if replicas_for(demand) < current == count:
        count -= 1
    count = _whole_gangs(rule, situation, count)
    if count >= current:
        return _Wish(count, rule.upscale_delay_seconds)
    if current == 1 and rule.downscale_to_zero_delay_seconds is not None:
        return _Wish(count, rule.downscale_to_zero_delay_seconds)
    return _Wish(count if current == 1 else max(1, count), rule.downscale_delay_seconds)


def _whole_gangs(rule: RequestDrivenRule, situation: Situation, count: int) -> int:
    """Bring a count inside the bounds and round it up to whole gangs, or down where the upper bound is in the way."""
    bounded = min(situation.bounds.clamp(count), MAX_COUNT)
    gangs = -(-bounded // rule.multiple_of)
    return min(gangs, situation.bounds.most // rule.multiple_of) * rule.multiple_of


def _due_at(rule: RequestDrivenRule, seen: Total, ripe_at: datetime | None) -> datetime:
    stale_at = moment(seen.oldest + rule.max_sample_age_seconds)
    return stale_at if ripe_at is None else min(stale_at, ripe_at)
