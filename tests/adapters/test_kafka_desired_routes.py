from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from adapters.kafka.desired_routes import DesiredRoute, desired_routes
from domain.events import (
    DeploymentDestroyed,
    DeploymentReady,
    RouteStatusChange,
    RouteStatusReported,
    RoutesTerminating,
    ScaledOut,
)
from domain.recorded import AnyEvent, OperationCause, RecordedEvent
from domain.routes import RouteStatus, TerminationReason

AT = datetime(2026, 3, 1, tzinfo=UTC)
DEPLOYMENT, REVISION, ONE, TWO = uuid4(), uuid4(), uuid4(), uuid4()


def after(event: AnyEvent, version: int = 4) -> list[tuple[UUID, DesiredRoute | None]]:
    """What the event says of routes."""
    return desired_routes(RecordedEvent(DEPLOYMENT, version, OperationCause(operation="test"), event))


def reported(*statuses: RouteStatus) -> RouteStatusReported:
    """A report on the first route, the second, and so on."""
    changes = tuple(
        RouteStatusChange(route_id=route_id, previous=RouteStatus.HEALTHY, status=status)
        for route_id, status in zip((ONE, TWO), statuses, strict=False)
    )
    return RouteStatusReported(at=AT, changes=changes, start_failures=0, scale_out_not_before=None)


def test_new_routes_should_run_their_revision() -> None:
    """With their share of the traffic, and the version by which a reader knows what is newer."""
    event = ScaledOut(at=AT, route_ids=(ONE, TWO), revision_id=REVISION, traffic_ratio=0.5)

    assert after(event) == [
        (
            route_id,
            DesiredRoute(
                deployment_id=DEPLOYMENT,
                route_id=route_id,
                desired="running",
                revision_id=REVISION,
                traffic_ratio=0.5,
                version=4,
            ),
        )
        for route_id in (ONE, TWO)
    ]


def test_terminating_routes_should_be_stopped_and_get_no_traffic() -> None:
    """A runtime that was away for a week still learns it."""
    event = RoutesTerminating(at=AT, route_ids=(ONE,), reason=TerminationReason.SCALE_IN)

    stopped = DesiredRoute(
        deployment_id=DEPLOYMENT, route_id=ONE, desired="stopped", revision_id=None, traffic_ratio=0.0, version=4
    )
    assert after(event) == [(ONE, stopped)]


@pytest.mark.parametrize("over", [RouteStatus.TERMINATED, RouteStatus.FAILED_TO_START])
def test_a_route_that_is_over_is_forgotten(over: RouteStatus) -> None:
    """Its key gets a tombstone, so that the topic does not grow for ever."""
    assert after(reported(over, RouteStatus.UNHEALTHY)) == [(ONE, None)]


def test_a_route_that_its_runtime_takes_away_must_not_come_back() -> None:
    """It counts as gone, and a new one takes its place."""
    ((route_id, desired),) = after(reported(RouteStatus.TERMINATING))

    assert route_id == ONE
    assert desired is not None
    assert desired.desired == "stopped"


@pytest.mark.parametrize("event", [DeploymentReady(at=AT, replicas=2), DeploymentDestroyed(at=AT, abandoned_routes=3)])
def test_other_events_change_nothing(event: AnyEvent) -> None:
    """Routes that a forced destruction abandons stay stopped: whoever runs them may still have to learn it."""
    assert after(event) == []
