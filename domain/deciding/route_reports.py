"""What whatever runs the replicas says of them. A report is an observation: it changes what is known, or nothing."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from domain import commands as c
from domain import events as e
from domain.deployment import Deployment, Lifecycle
from domain.errors import CommandRejected, RejectionCode
from domain.limits import DecisionLimits
from domain.routes import RouteStatus

#: How many of the unknown routes of a report are named (count).
_NAMED_ROUTES = 10


def report(
    state: Deployment, command: c.ReportRoutes, now: datetime, limits: DecisionLimits
) -> Sequence[e.DeploymentEvent]:
    """Note the statuses that are news, of routes that are known; the others are for :func:`unknown_routes`."""
    if state.lifecycle is Lifecycle.DESTROYED:
        return []
    changes = []
    seen: dict[object, RouteStatus] = {}
    for item in command.reports:
        route = state.routes.get(item.route_id)
        if route is None:
            continue
        previous = seen.get(route.id, route.status)
        if _is_news(previous, item.status):
            seen[route.id] = item.status
            change = e.RouteStatusChange(route_id=route.id, previous=previous, status=item.status, detail=item.detail)
            changes.append(change)
    return [_reported(state, changes, now, limits)] if changes else []


def unknown_routes(state: Deployment, command: c.ReportRoutes) -> CommandRejected | None:
    """Say which routes of a report were never made, by the first one's place; ``None`` where all are known or over."""
    if state.lifecycle is Lifecycle.DESTROYED:
        return None
    unknown = [
        (number, item.route_id)
        for number, item in enumerate(command.reports)
        if item.route_id not in state.routes and not item.status.is_terminal
    ]
    if not unknown:
        return None
    first, route_id = unknown[0]
    named = ", ".join(str(each) for _, each in unknown[:_NAMED_ROUTES])
    more = f" and {len(unknown) - _NAMED_ROUTES} more" if len(unknown) > _NAMED_ROUTES else ""
    message = f"deployment {state.id} has no route {named}{more}; what the report says of other routes counts"
    return CommandRejected(RejectionCode.UNKNOWN_ROUTE, message, field=f"reports.{first}.route_id", value=str(route_id))


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
