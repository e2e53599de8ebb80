"""What whatever runs the replicas says of them. A report is an observation: it changes what is known, or nothing."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from domain import commands as c
from domain import events as e
from domain.deployment import Deployment, Lifecycle
from domain.errors import CommandRejected, RejectionCode
from domain.limits import DecisionLimits
from domain.routes import RouteStatus


def report(
    state: Deployment, command: c.ReportRoutes, now: datetime, limits: DecisionLimits
) -> Sequence[e.DeploymentEvent]:
    """Note the statuses that are news; a route that was never made is rejected, and with it the whole report."""
    if state.lifecycle is Lifecycle.DESTROYED:
        return []
    changes = []
    seen: dict[object, RouteStatus] = {}
    for number, item in enumerate(command.reports):
        route = state.routes.get(item.route_id)
        if route is None:
            if item.status.is_terminal:
                continue
            message = f"deployment {state.id} has no route {item.route_id}"
            field = f"reports.{number}.route_id"
            raise CommandRejected(RejectionCode.UNKNOWN_ROUTE, message, field=field, value=str(item.route_id))
        previous = seen.get(route.id, route.status)
        if _is_news(previous, item.status):
            seen[route.id] = item.status
            change = e.RouteStatusChange(route_id=route.id, previous=previous, status=item.status, detail=item.detail)
            changes.append(change)
    return [_reported(state, changes, now, limits)] if changes else []


def _is_news(previous: RouteStatus, reported: RouteStatus) -> bool:
    """A route that is on its way out does not come back; only its end is news."""
    if previous.is_terminal or previous is reported:
        return False
    return previous is not RouteStatus.TERMINATING or reported.is_terminal


def _reported(
    state: Deployment, changes: list[e.RouteStatusChange], now: datetime, limits: DecisionLimits
) -> e.RouteStatusReported:
    failed = sum(_failed_to_start(state, change, now, limits) for change in changes)
    failures = state.start_failures
    not_before = state.scale_out_not_before
    if failures and _starts_work_again(state, now, limits):
        failures, not_before = 0, None
    if failed:
        failures += failed
        not_before = now + timedelta(seconds=limits.start_backoff(failures))
    return e.RouteStatusReported(
        at=now, changes=tuple(changes), start_failures=failures, scale_out_not_before=not_before
    )


def _failed_to_start(state: Deployment, change: e.RouteStatusChange, now: datetime, limits: DecisionLimits) -> bool:
    """Also a route that ended untold before it ran for long: an image that crashes after a while is no less broken."""
    if change.previous is RouteStatus.TERMINATING:
        return False
    if change.status is not RouteStatus.TERMINATED:
        return change.status is RouteStatus.FAILED_TO_START
    lasted = now - state.routes[change.route_id].created_at
    return change.previous is RouteStatus.PROVISIONING or lasted < timedelta(seconds=limits.healthy_resets_after)


def _starts_work_again(state: Deployment, now: datetime, limits: DecisionLimits) -> bool:
    """Only a route made since the last failed start shows that; an older one was healthy all along."""
    since = now - timedelta(seconds=limits.healthy_resets_after)
    return any(
        route.status is RouteStatus.HEALTHY
        and route.status_since <= since
        and (state.scale_out_not_before is None or route.created_at >= state.scale_out_not_before)
        for route in state.routes.values()
    )
