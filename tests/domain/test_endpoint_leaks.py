"""Every way in which two create calls and a destruction can follow each other, against a proxy that acts late."""

from collections.abc import Callable
from enum import Enum, auto
from itertools import product

import pytest

from domain import commands as c
from domain.deployment import Lifecycle
from domain.failures import FailureKind
from domain.operations import Operation
from tests.domain.histories import CREATE, DEPLOYMENT, REVISION
from tests.domain.random_commands import REGISTERED
from tests.domain.scenario import after
from tests.domain.simulation import CALL_SECONDS, SETTLE_SECONDS, Simulation

LATE = SETTLE_SECONDS - 5  # seconds after its start at which a call still takes effect
DESTROY = c.DestroyDeployment(deployment_id=DEPLOYMENT)


class Fate(Enum):
    """What becomes of a create call."""

    ANSWERED = auto()
    REFUSED = auto()
    TIMED_OUT = auto()
    TIMED_OUT_BUT_LANDS = auto()
    WORKER_DIES = auto()
    WORKER_DIES_BUT_IT_LANDS = auto()


class Destroyed(Enum):
    """When somebody asks for the destruction."""

    IN_THE_FIRST_CALL = auto()
    AFTER_THE_FIRST_CALL = auto()
    IN_THE_SECOND_CALL = auto()
    AFTER_THE_SECOND_CALL = auto()


def begun() -> Simulation:
    world = Simulation()
    world.ask(CREATE.model_copy(update={"target_revision": REVISION, "replica_count": 0}))
    return world


def call_proxy(world: Simulation, fate: Fate, meanwhile: Callable[[], object]) -> None:
    """Create the endpoint, as a worker does it that honours the deadline of a call in flight."""
    in_flight = world.deployment.endpoint.registration
    if in_flight is not None:
        world.wait_until(in_flight.deadline)
    seconds = (world.now - after(0)).total_seconds()
    start = c.StartEndpointRegistration(
        deployment_id=DEPLOYMENT, deadline=after(seconds + CALL_SECONDS), settles_at=after(seconds + SETTLE_SECONDS)
    )
    if not world.offer(start):
        return
    if fate in {Fate.TIMED_OUT_BUT_LANDS, Fate.WORKER_DIES_BUT_IT_LANDS}:
        world.proxy.landings.append(after(seconds + LATE))
    meanwhile()
    world.wait(1.0)
    match fate:
        case Fate.ANSWERED:
            world.proxy.exists = True
            world.ask(REGISTERED)
        case Fate.REFUSED:
            fail(world, FailureKind.TRANSIENT)
        case Fate.TIMED_OUT | Fate.TIMED_OUT_BUT_LANDS:
            world.wait(CALL_SECONDS - 1.0)
            fail(world, FailureKind.UNKNOWN)
        case Fate.WORKER_DIES | Fate.WORKER_DIES_BUT_IT_LANDS:
            pass


def fail(world: Simulation, kind: FailureKind) -> None:
    world.fail(Operation.CHECK_PENDING, kind, world.now)


def fail_before_a_call_of_its_own(world: Simulation) -> None:
    """The next worker cannot even begin; it too waits for the deadline first."""
    in_flight = world.deployment.endpoint.registration
    if in_flight is not None:
        world.wait_until(in_flight.deadline)
    fail(world, FailureKind.TRANSIENT)


def live_and_die(first: Fate, second: Fate, destroyed: Destroyed, *, stray_failure: bool, pause: float) -> Simulation:
    world = begun()

    def destroy_if(moment: Destroyed) -> None:
        if moment is destroyed:
            world.ask(DESTROY)

    call_proxy(world, first, lambda: destroy_if(Destroyed.IN_THE_FIRST_CALL))
    destroy_if(Destroyed.AFTER_THE_FIRST_CALL)
    if stray_failure:
        fail_before_a_call_of_its_own(world)
    world.wait(pause)
    call_proxy(world, second, lambda: destroy_if(Destroyed.IN_THE_SECOND_CALL))
    destroy_if(Destroyed.AFTER_THE_SECOND_CALL)
    world.settle(max_steps=5)
    return world


@pytest.mark.parametrize("second", Fate)
@pytest.mark.parametrize("first", Fate)
def test_a_destroyed_deployment_leaves_no_endpoint_behind(first: Fate, second: Fate) -> None:
    """The simulation fails when a destroyed deployment's endpoint exists at the proxy, or is still to come."""
    for destroyed, stray_failure, pause in product(Destroyed, [False, True], [0.0, 10.0]):
        world = live_and_die(first, second, destroyed, stray_failure=stray_failure, pause=pause)

        assert world.deployment.lifecycle is Lifecycle.DESTROYED
