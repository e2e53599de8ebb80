"""The step rule: cross a threshold, add or remove a fixed number of replicas, rest for the cooldown.

After the scaling rules of Backend.AI, with three deliberate differences: rules have a priority, a step past a bound is
cut to it instead of being skipped, and the cooldown begins with the decision that used the rule.
"""

from datetime import datetime, timedelta
from typing import Annotated, Literal, NamedTuple, Self
from uuid import UUID

from pydantic import Field, model_validator

from domain.autoscaling.metric import Comparator, MetricRule, MetricSource
from domain.autoscaling.outcome import MAX_ROUTES_NAMED, Finding, Measure, RuleOutcome, Verdict, moment
from domain.autoscaling.situation import Situation
from domain.autoscaling.window import mean
from domain.message import MAX_REPLICAS, ReplicaCount, Seconds


class StepRule(MetricRule):
    """Add ``step`` replicas (negative: remove) when the metric crosses the threshold; then rest for the cooldown.

    Either ``metric COMPARATOR threshold`` is what the rule waits for, or it adds ``step`` above
    ``scale_up_threshold`` and removes as many below ``scale_down_threshold`` (one of them may be left out). Of several
    step rules that want to act the one with the highest ``priority`` does, and among equals the first.
    """

    kind: Literal["step"] = "step"
    comparator: Comparator | None = Field(default=None, exclude_if=lambda comparator: comparator is None)
    threshold: float | None = Field(default=None, exclude_if=lambda threshold: threshold is None)
    scale_up_threshold: float | None = Field(default=None, exclude_if=lambda threshold: threshold is None)
    scale_down_threshold: float | None = Field(default=None, exclude_if=lambda threshold: threshold is None)
    step: Annotated[int, Field(ge=-MAX_REPLICAS, le=MAX_REPLICAS)]
    cooldown_seconds: Seconds = 300.0
    min_replicas: ReplicaCount = 0
    max_replicas: ReplicaCount = MAX_REPLICAS
    priority: Annotated[int, Field(ge=-1000, le=1000)] = Field(default=0, exclude_if=lambda priority: priority == 0)

    @model_validator(mode="after")
    def _thresholds(self) -> Self:
        compares = (self.comparator is not None, self.threshold is not None)
        up, down = self.scale_up_threshold, self.scale_down_threshold
        problem = ""
        if any(compares) and not all(compares):
            problem = "needs both a comparator and a threshold"
        elif all(compares) == (up is not None or down is not None):
            problem = "needs either a comparator and a threshold, or scale_up_threshold or scale_down_threshold"
        elif not any(compares) and self.step < 0:
            problem = (
                f"has step {self.step}, but with scale_up_threshold or scale_down_threshold it is the size of both"
            )
        elif up is not None and down is not None and down > up:
            problem = f"has scale_down_threshold {down} above scale_up_threshold {up}"
        if problem:
            msg = f"rule {self.name!r} {problem}"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _step_and_bounds(self) -> Self:
        if self.step == 0:
            msg = f"step of rule {self.name!r} is 0, which would never change anything"
            raise ValueError(msg)
        if self.min_replicas > self.max_replicas:
            msg = f"min_replicas {self.min_replicas} of rule {self.name!r} is above max_replicas {self.max_replicas}"
            raise ValueError(msg)
        return self


class _Trigger(NamedTuple):
    """What was compared, whether it held, and the signed step that follows."""

    comparator: Comparator
    threshold: float
    holds: bool
    step: int


class _Aggregate(NamedTuple):
    measure: Measure
    value: float
    samples: int
    oldest: float
    newest: float


def evaluate_step(rule: StepRule, situation: Situation) -> RuleOutcome:
    """Hold ``rule`` against the newest samples. A step past the rule's bounds is cut to them."""
    seen = _aggregate(rule, situation)
    missing = () if seen and seen.measure is not Measure.MEAN else _without_samples(rule, situation)
    if seen is None:
        return RuleOutcome(
            rule=rule.name,
            kind=rule.kind,
            verdict=Verdict.INVALID,
            finding=Finding.NO_SAMPLES,
            missing=len(missing),
            missing_routes=missing[:MAX_ROUTES_NAMED],
            unit=rule.unit,
        )
    trigger = _trigger(rule, seen.value)
    current, now = situation.given.current, situation.now
    verdict, due_at = Verdict.QUIET, moment(seen.oldest + rule.max_sample_age_seconds)
    unclamped = recommended = None
    if trigger.holds:
        unclamped = current + trigger.step
        recommended = max(rule.min_replicas, min(rule.max_replicas, unclamped))
        rests_until = _rests_until(rule, situation.given.rules_fired_at.get(rule.name), now)
        # A rule moves the count its own way or not at all: its bounds alone never turn a step around.
        if (recommended - current) * trigger.step <= 0:
            verdict, recommended = Verdict.BOUNDED, None
        elif rests_until is not None:
            verdict, recommended, due_at = Verdict.RESTING, None, min(due_at, rests_until)
        elif _is_used(rule, situation, seen):
            verdict, recommended = Verdict.USED, None
        else:
            verdict = Verdict.RECOMMENDS
    return RuleOutcome(
        rule=rule.name,
        kind=rule.kind,
        verdict=verdict,
        recommended=recommended,
        evidence=(1 if trigger.step > 0 else -1) if trigger.holds else 0,
        measure=seen.measure,
        value=seen.value,
        target=trigger.threshold,
        comparator=trigger.comparator,
        unclamped=unclamped,
        reported=seen.samples,
        missing=len(missing),
        missing_routes=missing[:MAX_ROUTES_NAMED],
        watermark=moment(seen.newest),
        unit=rule.unit,
        due_at=due_at,
    )


def _trigger(rule: StepRule, value: float) -> _Trigger:
    if rule.comparator is not None and rule.threshold is not None:
        holds = rule.comparator.holds(value, rule.threshold)
        return _Trigger(rule.comparator, rule.threshold, holds, rule.step)
    up, down = rule.scale_up_threshold, rule.scale_down_threshold
    if up is not None and (value > up or down is None):
        return _Trigger(Comparator.GREATER_THAN, up, value > up, rule.step)
    if down is not None and (value < down or up is None):
        return _Trigger(Comparator.LESS_THAN, down, value < down, -rule.step)
    return _Trigger(Comparator.GREATER_THAN, up or 0.0, holds=False, step=rule.step)


def _rests_until(rule: StepRule, fired_at: datetime | None, now: datetime) -> datetime | None:
    # Either way: a clock that was set back must not make the rule rest for as long as it was wrong.
    if fired_at is None or abs((now - fired_at).total_seconds()) >= rule.cooldown_seconds:
        return None
    return fired_at + timedelta(seconds=rule.cooldown_seconds)


def _is_used(rule: StepRule, situation: Situation, seen: _Aggregate) -> bool:
    """Whether these samples were acted on already: what came of it is not known yet."""
    used = situation.given.watermarks_used.get((rule.source, rule.metric))
    return used is not None and moment(seen.newest) <= used


def _aggregate(rule: StepRule, situation: Situation) -> _Aggregate | None:
    match rule.source:
        case MetricSource.KERNEL:
            return _of_routes(rule, situation)
        case MetricSource.INFERENCE_FRAMEWORK:
            return _of_the_whole(rule, situation, Measure.PER_REPLICA, situation.active or 1)
        case MetricSource.PROMETHEUS:
            return _of_the_whole(rule, situation, Measure.TOTAL, 1) or _of_routes(rule, situation)


def _of_routes(rule: StepRule, situation: Situation) -> _Aggregate | None:
    windows, now = situation.windows(rule), situation.timestamp
    routes = [windows.get(r.id.int) for r in (*situation.started, *situation.starting)]
    newest = [sample for w in routes if w and (sample := w.newest(now, rule.max_sample_age_seconds))]
    if not newest:
        return None
    times = [at for at, _ in newest]
    return _Aggregate(Measure.MEAN, mean(value for _, value in newest), len(newest), min(times), max(times))


def _of_the_whole(rule: StepRule, situation: Situation, measure: Measure, divisor: int) -> _Aggregate | None:
    whole = situation.windows(rule).get(None)
    sample = whole and whole.newest(situation.timestamp, rule.max_sample_age_seconds)
    return _Aggregate(measure, sample[1] / divisor, 1, sample[0], sample[0]) if sample else None


def _without_samples(rule: StepRule, situation: Situation) -> tuple[UUID, ...]:
    if rule.source is MetricSource.INFERENCE_FRAMEWORK:
        return ()
    windows, now, age = situation.windows(rule), situation.timestamp, rule.max_sample_age_seconds
    return tuple(
        route.id
        for route in (*situation.started, *situation.starting)
        if (window := windows.get(route.id.int)) is None or window.newest(now, age) is None
    )
