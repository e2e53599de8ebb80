import pytest

from domain import commands as c
from domain import events as e
from domain.deployment import Lifecycle
from domain.errors import RejectionCode
from domain.routes import RouteStatus, TerminationReason
from tests.domain import histories as h
from tests.domain.scenario import NOW, after, given, new_route_id


def scale_out(count: int) -> c.ScaleOut:
    return c.ScaleOut(deployment_id=h.DEPLOYMENT, count=count, revision_id=h.REVISION.revision_id)


def terminate(*numbers: int) -> c.TerminateRoutes:
    return c.TerminateRoutes(deployment_id=h.DEPLOYMENT, route_ids=frozenset(h.route_id(n) for n in numbers))


def wanting(count: int, history: h.History = h.SCALING) -> h.History:
    return (*history, e.ReplicaCountSet(at=h.EARLIER, previous=2, replica_count=count))


def test_new_routes_are_provisioning_with_the_given_revision_and_weight() -> None:
    command = scale_out(2).model_copy(update={"traffic_ratio": 0.5})

    state = given(*h.SCALING).when(command).state

    assert set(state.routes) == {new_route_id(1), new_route_id(2)}
    for route in state.routes.values():
        assert (route.status, route.revision_id) == (RouteStatus.PROVISIONING, h.REVISION.revision_id)
        assert (route.traffic_ratio, route.created_at, route.status_since) == (0.5, NOW, NOW)
    assert state.last_scaled_at == NOW


def test_no_more_routes_are_made_than_are_missing() -> None:
    given(*h.SCALING, h.scaled_out(1)).when(scale_out(2)).then_rejected(RejectionCode.CHANGED_MEANWHILE)


def test_routes_on_their_way_out_are_missing() -> None:
    given(*h.SCALING_MATCHED, h.terminating(1)).when(scale_out(1)).then_events(e.ScaledOut)


@pytest.mark.parametrize(("count", "sizes"), [(500, [500]), (501, [500, 1]), (1200, [500, 500, 200])])
def test_no_event_makes_more_than_five_hundred_routes(count: int, sizes: list[int]) -> None:
    when = given(*wanting(count)).when(scale_out(count))

    made = [event.route_ids for event in when.events if isinstance(event, e.ScaledOut)]
    assert [len(ids) for ids in made] == sizes
    assert when.state.active_count == count


def test_no_event_ends_more_than_five_hundred_routes() -> None:
    many = given(*wanting(1200)).when(scale_out(1200))
    none = many.and_when(c.SetReplicaCount(deployment_id=h.DEPLOYMENT, replica_count=0))

    ended = none.and_when(c.TerminateRoutes(deployment_id=h.DEPLOYMENT, route_ids=frozenset(none.state.routes)))

    assert [len(event.route_ids) for event in ended.events if isinstance(event, e.RoutesTerminating)] == [500, 500, 200]
    assert ended.state.active_count == 0


def test_routes_taken_away_get_no_more_traffic_and_no_longer_count() -> None:
    when = given(*wanting(1, h.READY)).when(terminate(2))

    when.then(e.RoutesTerminating(at=NOW, route_ids=(h.route_id(2),), reason=TerminationReason.SCALE_IN))
    route = when.state.routes[h.route_id(2)]
    assert (route.status, route.traffic_ratio, route.status_since) == (RouteStatus.TERMINATING, 0.0, NOW)
    assert when.state.active_count == 1
    assert when.state.lifecycle is Lifecycle.SCALING


def test_no_more_routes_are_taken_away_than_are_too_many() -> None:
    given(*wanting(1, h.READY)).when(terminate(1, 2)).then_rejected(RejectionCode.CHANGED_MEANWHILE)


def test_routes_that_are_on_their_way_out_already_are_not_taken_away_twice() -> None:
    given(*wanting(0, h.READY), h.terminating(1)).when(terminate(1)).then_nothing()


def test_in_destruction_any_route_may_be_taken_away() -> None:
    when = given(*h.DESTROYING).when(terminate(1, 2))

    ids = (h.route_id(1), h.route_id(2))
    when.then(e.RoutesTerminating(at=NOW, route_ids=ids, reason=TerminationReason.DESTROYED))


def test_routes_that_were_unhealthy_for_too_long_are_replaced() -> None:
    sick = (
        h.reported(RouteStatus.UNHEALTHY, 1, previous=RouteStatus.HEALTHY, at=after(-300)),
        h.reported(RouteStatus.UNHEALTHY, 2, previous=RouteStatus.HEALTHY, at=after(-299)),
    )

    when = given(*h.READY, *sick).when(c.EvictRoutes(deployment_id=h.DEPLOYMENT, unhealthy_since=after(-300)))

    when.then(e.RoutesTerminating(at=NOW, route_ids=(h.route_id(1),), reason=TerminationReason.EVICTED))
    when.and_when(scale_out(1)).then_events(e.ScaledOut)


@pytest.mark.parametrize("status", [RouteStatus.DEGRADED, RouteStatus.PROVISIONING, RouteStatus.HEALTHY])
def test_only_unhealthy_routes_are_evicted(status: RouteStatus) -> None:
    ill = h.reported(status, 1, previous=RouteStatus.UNHEALTHY, at=after(-3600))

    given(*h.READY, ill).when(c.EvictRoutes(deployment_id=h.DEPLOYMENT, unhealthy_since=NOW)).then_nothing()


def test_an_unhealthy_route_that_recovers_starts_a_new_period() -> None:
    flapping = (
        h.reported(RouteStatus.UNHEALTHY, 1, previous=RouteStatus.HEALTHY, at=after(-600)),
        h.reported(RouteStatus.HEALTHY, 1, previous=RouteStatus.UNHEALTHY, at=after(-400)),
        h.reported(RouteStatus.UNHEALTHY, 1, previous=RouteStatus.HEALTHY, at=after(-10)),
    )

    evict = c.EvictRoutes(deployment_id=h.DEPLOYMENT, unhealthy_since=after(-300))
    given(*h.READY, *flapping).when(evict).then_nothing()


def test_a_mismatch_is_noted_with_the_numbers_that_are_true_now() -> None:
    stale = c.RecordReplicaCountMismatch(deployment_id=h.DEPLOYMENT, expected=9, actual=8)

    given(*h.READY_SHORT).when(stale).then(e.ReplicaCountMismatched(at=NOW, expected=2, actual=1))


def test_zero_wanted_and_zero_there_is_ready() -> None:
    ready = given(*wanting(0)).when(c.RecordReady(deployment_id=h.DEPLOYMENT))

    ready.then(e.DeploymentReady(at=NOW, replicas=0))
    assert ready.state.lifecycle is Lifecycle.READY
