"""A stable window decides calmly, a short one in a panic: Knative's pod autoscaler (KPA).

The arithmetic is that of ``pkg/autoscaler/scaling/autoscaler.go`` in Knative Serving, evaluated when something happens
instead of every two seconds.
"""

from datetime import datetime, timedelta
from math import ceil, floor
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from domain.autoscaling.history import PanicMemory, Recommendation, extended
from domain.autoscaling.metric import MetricRule
from domain.autoscaling.outcome import MAX_COUNT, Finding, Measure, RuleOutcome, Verdict, moment, replicas_for
from domain.autoscaling.situation import Situation
from domain.message import ReplicaCount, Seconds


class WindowWithPanicRule(MetricRule):
    """Keep ``target_utilization_percentage`` of ``target`` (the metric's unit per replica) by the mean of a window.

    The mean of ``stable_window_seconds`` decides, until the one of the last ``panic_window_percentage`` of it asks for
    at least ``panic_threshold`` times the ready replicas; then the larger of the two does and nothing is removed, until
    that has not been so for a whole stable window. In one step the ready replicas are at most multiplied by
    ``max_scale_up_rate`` and divided by ``max_scale_down_rate``. Removing waits until fewer have been enough for
    ``scale_down_delay_seconds``. Where any are needed there are at least ``activation_scale``.
    """

    kind: Literal["window-with-panic"] = "window-with-panic"
    target: Annotated[float, Field(gt=0)]
    target_utilization_percentage: Annotated[float, Field(ge=1, le=100)] = 70.0
    stable_window_seconds: Annotated[Seconds, Field(ge=6, le=3600)] = 60.0
    panic_window_percentage: Annotated[float, Field(ge=1, le=100)] = 10.0
    panic_threshold: Annotated[float, Field(gt=1)] = 2.0
    max_scale_up_rate: Annotated[float, Field(gt=1)] = 1000.0
    max_scale_down_rate: Annotated[float, Field(gt=1)] = 2.0
    scale_down_delay_seconds: Annotated[Seconds, Field(le=3600)] = 0.0
    activation_scale: Annotated[ReplicaCount, Field(ge=1)] = 1

    @property
    def panic_window_seconds(self) -> float:
        """The length of the short window."""
        return self.stable_window_seconds * self.panic_window_percentage / 100

    @property
    def goal(self) -> float:
        """What one replica is to be given (the metric's unit)."""
        return self.target * self.target_utilization_percentage / 100

    @model_validator(mode="after")
    def _samples_last_for_the_window(self) -> Self:
        if self.max_sample_age_seconds < self.panic_window_seconds:
            msg = (
                f"max_sample_age_seconds {self.max_sample_age_seconds} of rule {self.name!r} is less than its panic "
                f"window of {self.panic_window_seconds} s"
            )
            raise ValueError(msg)
        return self


class _Demand(NamedTuple):
    """The mean of both windows, summed over the series; times in seconds since 1970."""

    stable: float
    panic: float
    series: int
    newest: float


def evaluate_window_with_panic(
    rule: WindowWithPanicRule, situation: Situation, memory: PanicMemory | None
) -> tuple[RuleOutcome, PanicMemory | None]:
    """Recommend by the stable window, or in a panic by the larger of both."""
    demand = _demand(rule, situation)
    if demand is None:
        outcome = RuleOutcome(
            rule=rule.name,
            kind=rule.kind,
            verdict=Verdict.INVALID,
            finding=Finding.NO_SAMPLES,
            target=rule.goal,
            unit=rule.unit,
        )
        return outcome, memory
    now, ready = situation.now, max(1, situation.ready)
    stable, panic = demand.stable / rule.goal, demand.panic / rule.goal
    since, peak = _panic(rule, situation, memory, replicas_for(panic) / ready)
    count, finding = _limited(rule, situation, stable), None
    if since is not None:
        count = max(count, _limited(rule, situation, panic))
        finding = Finding.PANIC_PEAK if peak > count else Finding.PANIC
        count = peak = max(peak, count)
    recent: tuple[Recommendation, ...] = ()
    if rule.scale_down_delay_seconds and situation.given.reachable:
        recent = extended(memory.recent if memory else (), Recommendation(now, count), rule.scale_down_delay_seconds)
        count, finding = (recent[0].replicas, Finding.DELAYED) if recent[0].replicas > count else (count, finding)
    decides = max(demand.stable, demand.panic) if since is not None else demand.stable
    wanted, current = replicas_for(decides / rule.goal), situation.given.current
    outcome = RuleOutcome(
        rule=rule.name,
        kind=rule.kind,
        verdict=Verdict.RECOMMENDS,
        recommended=count,
        finding=finding,
        evidence=(wanted > current) - (wanted < current),
        measure=Measure.TOTAL,
        value=decides,
        target=rule.goal,
        ratio=decides / rule.goal,
        reported=demand.series,
        watermark=moment(demand.newest),
        unit=rule.unit,
        due_at=_due_at(rule, demand, since, recent, now),
    )
    return outcome, PanicMemory(since=since, peak=peak, recent=recent)


def _panic(
    rule: WindowWithPanicRule, situation: Situation, memory: PanicMemory | None, excess: float
) -> tuple[datetime | None, int]:
    """Since when there is a panic, if there is one, and the most replicas that it came to so far."""
    now = situation.now
    if memory is None:
        # What was measured before a restart is not known, so that at first nothing is taken away.
        since, peak = (now, situation.ready) if situation.ready > 1 else (None, situation.ready)
    else:
        # A clock that was set back must not make the panic last for as long as it was wrong.
        since, peak = memory.since and min(memory.since, now), memory.peak
    if excess >= rule.panic_threshold:
        return now, peak
    if since is not None and now >= since + timedelta(seconds=rule.stable_window_seconds):
        return None, 0
    return since, peak if since is not None else 0


def _limited(rule: WindowWithPanicRule, situation: Situation, demand: float) -> int:
    """Round the demand for replicas up and keep it within what one step may do."""
    ready = max(1, situation.ready)
    most = min(ceil(rule.max_scale_up_rate * ready), MAX_COUNT)
    least = floor(ready / rule.max_scale_down_rate) if situation.given.reachable else 0
    wanted = replicas_for(demand)
    count = min(max(wanted, least), most)
    return max(count, rule.activation_scale) if wanted > 0 else count


def _demand(rule: WindowWithPanicRule, situation: Situation) -> _Demand | None:
    now = situation.timestamp
    stable, panic, series, newest = 0.0, 0.0, 0, 0.0
    for window in situation.every_window(situation.windows(rule)):
        long = window.mean(now, rule.stable_window_seconds)
        if long is None:
            continue
        short = window.mean(now, rule.panic_window_seconds)
        stable += long.value
        panic += short.value if short else 0.0
        series += 1
        newest = max(newest, long.newest)
    return _Demand(stable, panic, series, newest) if series else None


def _due_at(
    rule: WindowWithPanicRule,
    demand: _Demand,
    since: datetime | None,
    recent: tuple[Recommendation, ...],
    now: datetime,
) -> datetime | None:
    dues = [moment(demand.newest + rule.stable_window_seconds), moment(demand.newest + rule.panic_window_seconds)]
    if since is not None:
        dues.append(since + timedelta(seconds=rule.stable_window_seconds))
    if len(recent) > 1:
        dues.append(recent[0].at + timedelta(seconds=rule.scale_down_delay_seconds))
    return min((due for due in dues if due > now), default=None)
