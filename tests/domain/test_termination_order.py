from datetime import timedelta
from itertools import pairwise
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.routes import Route, RouteStatus, termination_order
from tests.domain.histories import REVISION, route_id
from tests.domain.scenario import NOW

ACTIVE = [status for status in RouteStatus if status.is_active]


def route(number: int, status: RouteStatus, age: float = 0) -> Route:
    """A route that was made ``age`` seconds ago."""
    made = NOW - timedelta(seconds=age)
    return Route(
        id=UUID(int=number),
        revision_id=REVISION.revision_id,
        status=status,
        traffic_ratio=1.0,
        created_at=made,
        status_since=made,
    )


ROUTES = st.lists(
    st.builds(
        route,
        st.integers(min_value=1, max_value=2**128 - 1),
        st.sampled_from(ACTIVE),
        st.sampled_from([0, 0.000001, 1, 3600, 86400 * 365]),
    ),
    max_size=12,
    unique_by=lambda each: each.id,
)


def order(*routes: Route) -> list[int]:
    return [each.id.int for each in termination_order(routes)]


def test_unhealthy_goes_before_degraded_before_provisioning_before_healthy() -> None:
    healthy, provisioning = route(1, RouteStatus.HEALTHY), route(2, RouteStatus.PROVISIONING)
    degraded, unhealthy = route(3, RouteStatus.DEGRADED, age=99), route(4, RouteStatus.UNHEALTHY, age=99)

    assert order(healthy, provisioning, degraded, unhealthy) == [4, 3, 2, 1]


def test_a_route_that_no_longer_counts_goes_before_all_that_do() -> None:
    assert order(route(1, RouteStatus.UNHEALTHY), route(2, RouteStatus.TERMINATING, age=99)) == [2, 1]


def test_within_a_group_the_newest_goes_first() -> None:
    old, new = route(1, RouteStatus.HEALTHY, age=10), route(2, RouteStatus.HEALTHY, age=9.999999)

    assert order(old, new) == [2, 1]


def test_routes_made_together_go_by_their_ids() -> None:
    routes = [route(number, RouteStatus.HEALTHY) for number in (3, 1, 2)]

    assert [each.id for each in termination_order(routes)] == [route_id(1), route_id(2), route_id(3)]


@settings(max_examples=100)
@given(routes=ROUTES, data=st.data())
def test_the_order_does_not_depend_on_how_the_routes_are_listed(routes: list[Route], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(routes))

    assert termination_order(shuffled) == termination_order(routes)


@settings(max_examples=100)
@given(routes=ROUTES)
def test_the_order_is_total_and_leaves_nobody_out(routes: list[Route]) -> None:
    ordered = termination_order(routes)

    assert sorted(ordered, key=lambda each: each.id) == sorted(routes, key=lambda each: each.id)
    for first, second in pairwise(ordered):
        assert order(first, second) == order(second, first) == [first.id.int, second.id.int]
