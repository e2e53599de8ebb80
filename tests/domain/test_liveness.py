from datetime import timedelta

import pytest

from domain import commands as c
from domain import events as e
from domain.deployment import Lifecycle
from domain.evolve import replay
from domain.failures import FailureKind
from domain.routes import RouteStatus
from tests.domain import histories as h
from tests.domain.scenario import NOW
from tests.domain.simulation import Simulation

HOUR = 3600.0
COMPLETE = h.CREATE.model_copy(update={"target_revision": h.REVISION})
DESTROY = c.DestroyDeployment(deployment_id=h.DEPLOYMENT)


def begun() -> Simulation:
    world = Simulation()
    world.ask(COMPLETE)
    return world


def test_a_deployment_comes_up_scales_and_goes_by_what_is_due_alone() -> None:
    world = begun()
    lifecycles = []

    for command in (None, c.SetReplicaCount(deployment_id=h.DEPLOYMENT, replica_count=5), DESTROY):
        if command is not None:
            world.ask(command)
        world.settle(max_steps=10)
        lifecycles.append((world.deployment.lifecycle, world.deployment.active_count))

    assert lifecycles == [(Lifecycle.READY, 2), (Lifecycle.READY, 5), (Lifecycle.DESTROYED, 0)]
    assert not world.proxy.exists


@pytest.mark.parametrize("count", [0, 1, 2, 3])
@pytest.mark.parametrize("history", [h.PENDING_WITH_REVISION, h.REGISTERING, h.SCALING, h.SCALING_MATCHED, h.READY])
def test_any_count_can_be_reached_from_any_station(history: h.History, count: int) -> None:
    world = Simulation()
    world.history, world.state = list(history), replay(history)

    world.ask(c.SetReplicaCount(deployment_id=h.DEPLOYMENT, replica_count=count))
    world.settle(max_steps=10)

    assert (world.deployment.lifecycle, world.deployment.active_count) == (Lifecycle.READY, count)


@pytest.mark.parametrize("end", [RouteStatus.FAILED_TO_START, RouteStatus.TERMINATED])
@pytest.mark.parametrize("healthy_before", [0, 1], ids=["nothing runs", "one old replica runs"])
def test_a_broken_image_does_not_make_routes_in_a_hot_loop(end: RouteStatus, healthy_before: int) -> None:
    world = begun()
    world.ask(c.SetReplicaCount(deployment_id=h.DEPLOYMENT, replica_count=healthy_before))
    world.settle(max_steps=10)
    world.wait(120)
    world.ask(c.SetReplicaCount(deployment_id=h.DEPLOYMENT, replica_count=healthy_before + 1))
    break_off = world.now + timedelta(seconds=HOUR)

    while (work := world.work()) is not None and work.due_at <= break_off:
        world.wait_until(work.due_at)
        world.do(work.operation)
        world.wait(0.01)
        routes = world.deployment.routes.values()
        world.report({route.id: end for route in routes if route.status is RouteStatus.PROVISIONING})

    made = sum(len(event.route_ids) for event in world.history if isinstance(event, e.ScaledOut))
    assert 10 < made - healthy_before < 25


@pytest.mark.parametrize("kind", list(FailureKind))
@pytest.mark.parametrize(
    "history",
    [h.PENDING_WITH_REVISION, h.SCALING, h.SCALING_MATCHED, h.READY_SHORT, h.DESTROYING],
    ids=["pending", "scaling", "matched", "short", "destroying"],
)
def test_nothing_that_fails_is_repeated_without_a_pause(history: h.History, kind: FailureKind) -> None:
    """Ten minutes' pause after each failure: at most one try in ten minutes for each of two operations."""
    world = Simulation()
    world.history, world.state = list(history), replay(history)
    tries = 0

    while (work := world.work()) is not None and work.due_at <= NOW + timedelta(seconds=HOUR):
        world.wait_until(work.due_at)
        world.fail(work.operation, kind, world.now + timedelta(minutes=10))
        tries += 1
        assert tries <= 14

    assert tries >= 6


def test_a_worker_that_dies_between_any_two_steps_is_replaced_by_one_that_reads_the_state() -> None:
    """The state is rebuilt from the log before each step; nothing else is remembered."""
    world = begun()
    for command in (None, DESTROY):
        if command is not None:
            world.ask(command)
        for _ in range(10):
            world.state = replay(world.history)
            world.obey()
            if (work := world.work()) is None or world.deployment.lifecycle is Lifecycle.READY:
                break
            world.do(work.operation)

    assert world.deployment.lifecycle is Lifecycle.DESTROYED
