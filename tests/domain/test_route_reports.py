from collections.abc import Sequence

import pytest

from domain import commands as c
from domain import events as e
from domain.deciding.route_reports import unknown_routes
from domain.deployment import Deployment
from domain.errors import RejectionCode
from domain.evolve import replay
from domain.routes import RouteStatus
from tests.domain import histories as h
from tests.domain.scenario import NOW, given

ALL = list(RouteStatus)
ACTIVE = [status for status in ALL if status.is_active]


def report(*reports: tuple[int, RouteStatus]) -> c.ReportRoutes:
    items = tuple(c.RouteReport(route_id=h.route_id(number), status=status) for number, status in reports)
    return c.ReportRoutes(deployment_id=h.DEPLOYMENT, reports=items)


def change(number: int, previous: RouteStatus, status: RouteStatus) -> e.RouteStatusChange:
    return e.RouteStatusChange(route_id=h.route_id(number), previous=previous, status=status)


def changes(*expected: e.RouteStatusChange) -> e.RouteStatusReported:
    return e.RouteStatusReported(at=NOW, changes=expected, start_failures=0, scale_out_not_before=None)


def state_of(history: Sequence[e.DeploymentEvent]) -> Deployment:
    state = replay(history)
    assert state is not None
    return state


def test_what_is_new_is_noted_with_what_was_before() -> None:
    when = given(*h.SCALING_MATCHED).when(report((1, RouteStatus.HEALTHY), (2, RouteStatus.PROVISIONING)))

    when.then(changes(change(1, RouteStatus.PROVISIONING, RouteStatus.HEALTHY)))
    assert when.state.routes[h.route_id(1)].status_since == NOW
    assert when.state.healthy_count == 1


@pytest.mark.parametrize("status", ACTIVE)
def test_what_is_known_already_is_not_noted_again(status: RouteStatus) -> None:
    history = (*h.SCALING, h.scaled_out(1), h.reported(status, 1))

    given(*history).when(report((1, status))).then_nothing()


def test_the_last_of_several_statuses_of_one_route_counts() -> None:
    when = given(*h.SCALING_MATCHED).when(report((1, RouteStatus.HEALTHY), (1, RouteStatus.DEGRADED)))

    first = change(1, RouteStatus.PROVISIONING, RouteStatus.HEALTHY)
    when.then(changes(first, change(1, RouteStatus.HEALTHY, RouteStatus.DEGRADED)))
    assert when.state.routes[h.route_id(1)].status is RouteStatus.DEGRADED


def test_nothing_follows_the_end_of_a_route_in_one_report() -> None:
    when = given(*h.READY).when(report((1, RouteStatus.TERMINATED), (1, RouteStatus.HEALTHY)))

    when.then(changes(change(1, RouteStatus.HEALTHY, RouteStatus.TERMINATED)))


@pytest.mark.parametrize("status", ACTIVE)
def test_a_route_on_its_way_out_does_not_come_back(status: RouteStatus) -> None:
    given(*h.READY, h.terminating(1)).when(report((1, status))).then_nothing()


@pytest.mark.parametrize("status", [RouteStatus.TERMINATED, RouteStatus.FAILED_TO_START])
def test_a_route_that_is_over_leaves_the_state(status: RouteStatus) -> None:
    state = given(*h.READY, h.terminating(1)).when(report((1, status))).state

    assert set(state.routes) == {h.route_id(2)}


@pytest.mark.parametrize("status", [RouteStatus.TERMINATED, RouteStatus.FAILED_TO_START])
def test_the_end_of_a_route_may_be_reported_again(status: RouteStatus) -> None:
    given(*h.READY_SHORT).when(report((2, status))).then_nothing()


@pytest.mark.parametrize("status", [status for status in ALL if not status.is_terminal])
def test_a_route_that_was_never_made_is_named_and_the_others_are_taken_over(status: RouteStatus) -> None:
    """Known routes count; the rejection names the unknown one by its place in the report."""
    mixed = report((1, RouteStatus.UNHEALTHY), (9, status))
    given(*h.READY).when(mixed).then(changes(change(1, RouteStatus.HEALTHY, RouteStatus.UNHEALTHY)))

    unknown = unknown_routes(state_of(h.READY), mixed)
    assert unknown is not None
    assert (unknown.code, unknown.field) == (RejectionCode.UNKNOWN_ROUTE, "reports.1.route_id")
    assert unknown.value == str(h.route_id(9))


def test_of_many_unknown_routes_some_are_named_and_all_are_counted() -> None:
    unknown = unknown_routes(state_of(h.READY), report(*((100 + n, RouteStatus.HEALTHY) for n in range(500))))

    assert unknown is not None
    assert "and 490 more" in unknown.message
    assert len(unknown.message) < 1000


@pytest.mark.parametrize("status", [RouteStatus.TERMINATED, RouteStatus.FAILED_TO_START])
def test_the_end_of_an_unknown_route_is_no_news(status: RouteStatus) -> None:
    assert unknown_routes(state_of(h.READY), report((9, status))) is None


def test_nothing_is_unknown_to_a_destroyed_deployment() -> None:
    assert unknown_routes(state_of(h.DESTROYED), report((9, RouteStatus.HEALTHY))) is None


@pytest.mark.parametrize("status", ALL)
def test_nothing_is_noted_of_a_destroyed_deployment(status: RouteStatus) -> None:
    given(*h.DESTROYED).when(report((1, status))).then_nothing()


def test_a_route_that_leaves_by_itself_gets_no_more_traffic() -> None:
    state = given(*h.READY).when(report((1, RouteStatus.TERMINATING))).state

    assert state.routes[h.route_id(1)].traffic_ratio == 0.0
    assert state.active_count == 1
