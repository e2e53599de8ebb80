"""Deployments of every kind for the tests of autoscaling: routes, samples, rules, and one evaluation of them."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from domain.autoscaling.engine import Evaluation, ScalingInput, evaluate
from domain.autoscaling.history import ScalingHistory
from domain.autoscaling.metric import MetricSource
from domain.autoscaling.outcome import RuleOutcome
from domain.autoscaling.rules import ScalingPolicy, ScalingRule, TargetTrackingRule, TargetType
from domain.autoscaling.samples import MetricSample
from domain.autoscaling.window import SampleWindows, WindowLimits
from domain.routes import Route, RouteStatus

NOW: Final = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR_AGO: Final = NOW - timedelta(hours=1)
EVERYTHING: Final = WindowLimits(seconds=7200.0, samples=10_000)

#: Something is remembered, but no recommendation: nothing is held back, and nothing is begun.
REMEMBERING: Final = ScalingHistory(evaluated_at=NOW)


def after(seconds: float) -> datetime:
    """So many seconds after :data:`NOW`; negative: before."""
    return NOW + timedelta(seconds=seconds)


def route_id(number: int) -> UUID:
    """The id of the ``number``-th route (from 0)."""
    return UUID(int=1 + number)


def route(
    number: int,
    status: RouteStatus = RouteStatus.HEALTHY,
    *,
    created_at: datetime = HOUR_AGO,
    status_since: datetime = HOUR_AGO,
) -> Route:
    """The ``number``-th route (from 0)."""
    return Route(
        id=route_id(number),
        revision_id=UUID(int=0),
        status=status,
        traffic_ratio=1.0,
        created_at=created_at,
        status_since=status_since,
    )


def healthy(count: int) -> list[Route]:
    """So many healthy routes."""
    return [route(number) for number in range(count)]


def of_routes(
    values: Iterable[float | None], *, metric: str = "load", at: datetime = NOW, first: int = 0
) -> list[MetricSample]:
    """One sample per route, in the routes' order; ``None``: none."""
    return [
        MetricSample(source=MetricSource.KERNEL, metric=metric, value=value, at=at, route_id=route_id(number))
        for number, value in enumerate(values, first)
        if value is not None
    ]


def of_whole(
    value: float, *, metric: str = "load", at: datetime = NOW, source: MetricSource = MetricSource.KERNEL
) -> MetricSample:
    """One sample of the deployment as a whole."""
    return MetricSample(source=source, metric=metric, value=value, at=at)


def windows(samples: Sequence[MetricSample], now: datetime | None = None) -> SampleWindows:
    """The samples, all of them kept."""
    latest = max((sample.at for sample in samples), default=NOW)
    return SampleWindows().added(samples, now or latest, default=EVERYTHING)


def exactly(count: int, *, name: str = "exactly") -> TargetTrackingRule:
    """A rule that recommends as many replicas as its metric says; see :func:`asking_for`."""
    return TargetTrackingRule(
        name=name,
        source=MetricSource.KERNEL,
        metric=f"wanted-{count}",
        target_type=TargetType.TOTAL_AVERAGE,
        target=1.0,
        scale_up_tolerance=0.0,
        scale_down_tolerance=0.0,
    )


def asking_for(count: int, at: datetime = NOW) -> MetricSample:
    """The sample that makes :func:`exactly` recommend ``count`` replicas."""
    return of_whole(count, metric=f"wanted-{count}", at=at)


def desired(evaluation: Evaluation) -> int:
    """The number of replicas that an evaluation came to."""
    return evaluation.desired


def evaluated(
    *rules: ScalingRule,
    current: int,
    samples: Sequence[MetricSample] = (),
    routes: Sequence[Route] | None = None,
    history: ScalingHistory = REMEMBERING,
    now: datetime = NOW,
    policy: Mapping[str, object] | None = None,
    baseline: int | None = None,
    stopped: bool = False,
    override: int | None = None,
    reachable: bool = True,
    fired_at: Mapping[str, datetime] | None = None,
) -> Evaluation:
    """Evaluate rules for a deployment of ``current`` replicas, all healthy unless ``routes`` says otherwise."""
    given = ScalingInput(
        current=current,
        routes=healthy(current) if routes is None else routes,
        samples=windows(samples, max(now, NOW)),
        history=history,
        rules_fired_at=fired_at or {},
        baseline=baseline,
        stopped=stopped,
        override=override,
        reachable=reachable,
    )
    return evaluate(ScalingPolicy.model_validate({"rules": rules, **(policy or {})}), given, now)


def outcome(evaluation: Evaluation, number: int = 0) -> RuleOutcome:
    """What one of the rules came to."""
    return evaluation.reasoning.rules[number]


def remembering(
    recommendations: Iterable[tuple[float, int]], changes: Iterable[tuple[float, int]] = ()
) -> ScalingHistory:
    """A history of recommendations and changes, each as its age in seconds and the replicas."""
    history = REMEMBERING
    for age, replicas in sorted(recommendations, reverse=True):
        history = history.recommended(replicas, after(-age))
    for age, change in sorted(changes, reverse=True):
        history = history.changed(change, after(-age))
    return history._replace(evaluated_at=NOW)
