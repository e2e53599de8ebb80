"""Which replicas a per-replica metric counts: those that reported, and those set aside as missing or not ready.

The groups are those of Kubernetes' HorizontalPodAutoscaler (``groupPods`` in ``replica_calculator.go``).
"""

from collections.abc import Sequence
from math import isinf
from sys import float_info
from typing import Annotated, NamedTuple
from uuid import UUID

from pydantic import Field

from domain.autoscaling.metric import MetricRule
from domain.autoscaling.outcome import MAX_ROUTES_NAMED
from domain.autoscaling.situation import Situation
from domain.message import Name, Seconds
from domain.routes import Route, RouteStatus


class PerReplicaRule(MetricRule):
    """A rule that counts replicas one by one.

    A replica may use ``request`` (the metric's unit; 100: the metric is in percent already), or as much as its newest
    sample of ``request_metric`` says.

    ``window_seconds`` is the time that a sample, or a mean over several, speaks for. With ``initialization_seconds`` a
    replica so young counts only once a whole window lies after it became ready; one that was found not ready within
    ``initial_readiness_delay_seconds`` of its start counts as never having been ready (HPA: CPU metrics only).
    """

    request: Annotated[float, Field(gt=0)] = 100.0
    request_metric: Name | None = None
    window_seconds: Annotated[Seconds, Field(le=3600)] = 0.0
    initialization_seconds: Seconds | None = None
    initial_readiness_delay_seconds: Seconds = 30.0


class ReplicaGroups(NamedTuple):
    """The replicas by what is known of them.

    ``usage`` and ``requested`` are sums over the ``reported`` ones, in the metric's unit; ``oldest`` and ``newest`` are
    the times of their samples in seconds since 1970. The others are counted, and named up to a limit.
    """

    usage: float
    reported: int
    missing: int
    unready: int
    requested: float
    requested_by_missing: float
    requested_by_unready: float
    oldest: float
    newest: float
    missing_routes: tuple[UUID, ...]
    unready_routes: tuple[UUID, ...]


def group_replicas(rule: PerReplicaRule, situation: Situation) -> ReplicaGroups:
    """Sort the replicas: without a sample that counts: missing; still starting, or ready too short a time: unready."""
    windows, now, age = situation.windows(rule), situation.timestamp, rule.max_sample_age_seconds
    youth, span = rule.initialization_seconds, rule.window_seconds
    reported: list[UUID] = []
    values: list[float] = []
    times: list[float] = []
    missing: list[UUID] = []
    unready: list[UUID] = [route.id for route in situation.starting]
    for route in situation.started:
        window = windows.get(route.id.int)
        sample = None if window is None else window.newest(now, age)
        if window is None or sample is None:
            missing.append(route.id)
            continue
        at, value = sample
        if youth is not None and _initializes(rule, route, at, now):
            unready.append(route.id)
            continue
        if span and (mean := window.mean(now, span)) is not None:
            value = mean.value
        reported.append(route.id)
        values.append(value)
        times.append(at)
    usage = sum(values)
    requests = _requests(rule, situation, (reported, missing, unready))
    return ReplicaGroups(
        usage if not isinf(usage) else float_info.max,
        len(reported),
        len(missing),
        len(unready),
        *requests,
        min(times, default=now),
        max(times, default=now),
        tuple(missing[:MAX_ROUTES_NAMED]),
        tuple(unready[:MAX_ROUTES_NAMED]),
    )


def _initializes(rule: PerReplicaRule, route: Route, sample_at: float, now: float) -> bool:
    started, since = route.created_at.timestamp(), route.status_since.timestamp()
    not_ready = route.status is RouteStatus.UNHEALTHY
    if started + (rule.initialization_seconds or 0.0) > now:
        return not_ready or sample_at < since + rule.window_seconds
    return not_ready and started + rule.initial_readiness_delay_seconds > since


def _requests(
    rule: PerReplicaRule, situation: Situation, groups: Sequence[Sequence[UUID]]
) -> tuple[float, float, float]:
    """What the replicas of each group may use together; one of which nobody says it may use the mean of the others."""
    if rule.request_metric is None:
        reported, missing, unready = groups
        return len(reported) * rule.request, len(missing) * rule.request, len(unready) * rule.request
    windows, now = situation.given.samples.of(rule.source, rule.request_metric), situation.timestamp
    known: dict[UUID, float] = {}
    for group in groups:
        for route_id in group:
            window = windows.get(route_id.int)
            sample = window.newest(now, rule.max_sample_age_seconds) if window is not None else None
            if sample is not None:
                known[route_id] = sample[1]
    usual = sum(known.values()) / len(known) if known else 0.0
    asked = [sum(known.get(route_id, usual) for route_id in group) for group in groups]
    return asked[0], asked[1], asked[2]
