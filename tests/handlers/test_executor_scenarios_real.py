"""The specification's scenarios SC-DE-001 to SC-DE-010 with the event-sourced repository and a real HTTP proxy."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from domain import events as e
from domain.deployment import Lifecycle
from domain.failures import FailureKind
from domain.routes import RouteStatus
from handlers.results import DeploymentExecutionResult
from service.demo.reference_proxy_faults import Faults
from tests.executor_doubles import logged
from tests.executor_world import World, world_of


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with world_of(tmp_path) as made:
        yield made


# --- check_pending_deployments -------------------------------------------------------------------------------------


async def test_sc_de_001_endpoint_registration_succeeds_for_all_deployments(world: World) -> None:
    d1 = await world.state(await world.create())

    result = await world.plane.executor.check_pending_deployments([d1])

    assert result == DeploymentExecutionResult(successes=[d1], errors=[], skipped=[])
    [circuit] = world.proxy.circuits.all()
    registered = await world.state(d1.id)
    assert (circuit.endpoint_id, circuit.url) == (d1.id, registered.endpoint.url)
    assert registered.lifecycle is Lifecycle.SCALING


async def test_sc_de_002_a_deployment_without_target_revision_is_skipped(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    d1 = await world.state(await world.create(target_revision=None))

    result = await world.plane.executor.check_pending_deployments([d1])

    assert result == DeploymentExecutionResult(successes=[], errors=[], skipped=[d1])
    assert ("WARNING", f"Deployment {d1.id} has no target revision, skipping") in logged(caplog)
    assert world.proxy.calls.creates == 0


async def test_sc_de_003_a_scaling_group_without_proxy_target_is_skipped(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    d1 = await world.state(await world.create(resource_group="sg2"))

    result = await world.plane.executor.check_pending_deployments([d1])

    assert result == DeploymentExecutionResult(successes=[], errors=[], skipped=[d1])
    expected = f"No proxy target found for scaling group sg2, skipping deployment {d1.id}"
    assert ("WARNING", expected) in logged(caplog)


async def test_sc_de_004_an_endpoint_registration_failure_is_captured(world: World) -> None:
    d1 = await world.state(await world.create())
    await world.proxy.stop()

    result = await world.plane.executor.check_pending_deployments([d1])

    [error] = result.errors
    assert (result.successes, result.skipped) == ([], [])
    assert (error.deployment_info, error.error_detail) == (d1, "Failed to register endpoint")
    assert "ConnectError" in error.reason
    assert error.kind is FailureKind.TRANSIENT
    assert (await world.state(d1.id)).endpoint.url is None


async def test_sc_de_005_some_deployments_fail_and_the_others_succeed(world: World) -> None:
    d1, d2 = await world.state(await world.create(2)), await world.state(await world.create(4))
    world.proxy.faults.set(Faults(next_statuses=(500,)))

    result = await world.plane.executor.check_pending_deployments([d1, d2])

    [error], [success] = result.errors, result.successes
    assert {error.deployment_info.id, success.id} == {d1.id, d2.id}
    assert world.circuits() == [success.id]
    assert (await world.state(success.id)).endpoint.url == world.proxy.circuits.all()[0].url
    assert (await world.state(error.deployment_info.id)).endpoint.url is None


# --- check_ready_deployments_that_need_scaling ---------------------------------------------------------------------


async def test_sc_de_006_a_matching_replica_count_is_a_success(world: World) -> None:
    d1 = await world.state(await world.with_routes(active=3))

    result = await world.plane.executor.check_ready_deployments_that_need_scaling([d1])

    assert result == DeploymentExecutionResult(successes=[d1], errors=[], skipped=[])


async def test_sc_de_007_a_replica_count_mismatch_is_an_error(world: World) -> None:
    d1 = await world.with_routes(active=3)
    gone = next(iter((await world.state(d1)).routes))
    await world.report(d1, RouteStatus.TERMINATED, gone)
    before = await world.state(d1)

    result = await world.plane.executor.check_ready_deployments_that_need_scaling([before])

    [error] = result.errors
    assert (result.successes, result.skipped, error.deployment_info) == ([], [], before)
    assert (error.reason, error.error_detail) == ("Mismatched active routes", "Expected 3 replicas, found 2")


# --- scale_deployment ----------------------------------------------------------------------------------------------


async def test_sc_de_008_scaling_out_creates_the_missing_routes(world: World) -> None:
    d1 = await world.state(await world.with_routes(active=1, target=3))

    result = await world.plane.executor.scale_deployment([d1])

    assert result == DeploymentExecutionResult(successes=[d1], errors=[], skipped=[])
    assert (await world.state(d1.id)).active_count == 3
    last = (await world.events(d1.id))[-1]
    assert isinstance(last, e.ScaledOut)
    assert len(last.route_ids) == 2


async def test_sc_de_009_scaling_in_terminates_the_routes_that_are_too_many(world: World) -> None:
    d1 = await world.with_routes(active=4, target=2)
    routes = sorted((await world.state(d1)).routes)
    await world.report(d1, RouteStatus.HEALTHY, *routes[:2])
    await world.report(d1, RouteStatus.UNHEALTHY, routes[3])
    before = await world.state(d1)

    result = await world.plane.executor.scale_deployment([before])

    assert result == DeploymentExecutionResult(successes=[before], errors=[], skipped=[])
    after = await world.state(d1)
    terminating = {route.id for route in after.routes.values() if route.status is RouteStatus.TERMINATING}
    assert terminating == {routes[3], routes[2]}, "the unhealthy one goes first, then the one that is not yet healthy"
    assert {route.traffic_ratio for route in after.routes.values() if route.id in terminating} == {0.0}


async def test_sc_de_010_no_scaling_needed_is_skipped(world: World) -> None:
    d1 = await world.state(await world.with_routes(active=2))

    result = await world.plane.executor.scale_deployment([d1])

    assert result == DeploymentExecutionResult(successes=[], errors=[], skipped=[d1])
    assert await world.state(d1.id) == d1
