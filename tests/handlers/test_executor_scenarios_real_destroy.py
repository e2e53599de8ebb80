"""SC-DE-011 to SC-DE-018 and SC-DE-INT-001 with the event-sourced repository and a real HTTP proxy."""

from collections.abc import AsyncIterator, Collection
from pathlib import Path
from unittest.mock import patch
from uuid import UUID

import pytest

from domain import commands as c
from domain import events as e
from domain.autoscaling.decision import DecisionReason
from domain.autoscaling.rules import ScalingPolicy
from domain.deployment import Deployment, Lifecycle
from domain.routes import RouteStatus
from handlers.results import DeploymentExecutionError, DeploymentExecutionResult
from service.demo.reference_proxy_faults import Faults, ProxyOperation
from tests.executor_doubles import logged
from tests.executor_world import QUEUE_RULE, World, world_of


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with world_of(tmp_path) as made:
        yield made


# --- calculate_desired_replicas ------------------------------------------------------------------------------------


async def test_sc_de_011_replicas_are_calculated_from_autoscaling_rules(world: World) -> None:
    d1 = await world.with_routes(active=3, scaling_policy=ScalingPolicy(rules=(QUEUE_RULE,)))
    await world.sample(d1, 60)
    before = await world.state(d1)

    result = await world.plane.executor.calculate_desired_replicas([before])

    assert result == DeploymentExecutionResult(successes=[before], errors=[], skipped=[])
    assert (await world.state(d1)).target_replica_count == 5
    last = (await world.events(d1))[-1]
    assert isinstance(last, e.DesiredReplicasCalculated)
    assert last.decision.evaluation is not None
    assert (last.decision.reason, last.decision.evaluation.metric) == (DecisionReason.RULE, 20)


async def test_sc_de_012_without_autoscaling_rules_the_manual_replica_count_is_used(world: World) -> None:
    d1 = await world.state(await world.with_routes(active=1, target=3))

    result = await world.plane.executor.calculate_desired_replicas([d1])

    assert result == DeploymentExecutionResult(successes=[d1], errors=[], skipped=[])
    assert (await world.state(d1.id)).target_replica_count == 3


async def test_sc_de_013_no_change_needed_is_skipped(world: World) -> None:
    d1 = await world.with_routes(active=3, scaling_policy=ScalingPolicy(rules=(QUEUE_RULE,)))
    await world.sample(d1, 30)
    before = await world.state(d1)

    result = await world.plane.executor.calculate_desired_replicas([before])

    assert result == DeploymentExecutionResult(successes=[], errors=[], skipped=[before])
    assert await world.state(d1) == before


async def test_sc_de_014_a_replica_calculation_failure_is_captured(world: World) -> None:
    d1 = await world.state(await world.with_routes(active=3, scaling_policy=ScalingPolicy(rules=(QUEUE_RULE,))))

    async def unavailable(_deployments: Collection[Deployment]) -> None:
        raise OSError("Metrics unavailable")

    with patch.object(world.plane.repository._scaling, "restore", unavailable):
        result = await world.plane.executor.calculate_desired_replicas([d1])

    error = DeploymentExecutionError(d1, "Metrics unavailable", "Failed to calculate desired replicas")
    assert result == DeploymentExecutionResult(successes=[], errors=[error], skipped=[])
    assert await world.state(d1.id) == d1


# --- destroy_deployment --------------------------------------------------------------------------------------------


async def ending(world: World) -> UUID:
    """A deployment with two routes and an endpoint, whose destruction was asked for."""
    d1 = await world.with_routes(active=2)
    await world.when(c.DestroyDeployment(deployment_id=d1))
    return d1


async def test_sc_de_015_destruction_terminates_all_routes_and_unregisters_the_endpoint(world: World) -> None:
    d1 = await world.state(await ending(world))

    result = await world.plane.executor.destroy_deployment([d1])

    assert result == DeploymentExecutionResult(successes=[d1], errors=[], skipped=[])
    assert world.circuits() == []
    routes = (await world.state(d1.id)).routes.values()
    assert [route.status for route in routes] == [RouteStatus.TERMINATING] * 2


async def test_sc_de_016_an_endpoint_deletion_failure_is_captured(world: World) -> None:
    d1 = await world.state(await ending(world))
    world.proxy.faults.set(Faults(next_statuses=(500,), operations=frozenset({ProxyOperation.DELETE})))

    result = await world.plane.executor.destroy_deployment([d1])

    [error] = result.errors
    assert (result.successes, result.skipped) == ([], [])
    assert (error.deployment_info, error.reason) == (d1, "Failed to unregister endpoint")
    assert "answered 500" in error.error_detail
    assert world.circuits() == [d1.id]
    routes = (await world.state(d1.id)).routes.values()
    assert [route.status for route in routes] == [RouteStatus.TERMINATING] * 2


async def test_sc_de_017_without_proxy_target_destruction_logs_and_continues(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    d1 = await world.state(await ending(world))
    del world.targets["sg1"]

    result = await world.plane.executor.destroy_deployment([d1])

    assert result == DeploymentExecutionResult(successes=[d1], errors=[], skipped=[])
    assert ("WARNING", f"No proxy target found for scaling group sg1, leaving endpoint {d1.id}") in logged(caplog)
    assert world.proxy.calls.deletes == 0
    routes = (await world.state(d1.id)).routes.values()
    assert [route.status for route in routes] == [RouteStatus.TERMINATING] * 2


# --- nothing to do, and the whole way ------------------------------------------------------------------------------


async def test_sc_de_018_an_empty_list_returns_at_once_and_changes_nothing(world: World) -> None:
    executor = world.plane.executor

    for operation in (
        executor.check_pending_deployments,
        executor.check_ready_deployments_that_need_scaling,
        executor.scale_deployment,
        executor.calculate_desired_replicas,
        executor.destroy_deployment,
    ):
        assert await operation([]) == DeploymentExecutionResult(successes=[], errors=[], skipped=[])
    assert await world.log.head() == 0


async def test_sc_de_int_001_full_deployment_lifecycle(world: World) -> None:
    d1 = await world.create(replica_count=2)
    executor = world.plane.executor

    for operation in (
        executor.check_pending_deployments,
        executor.calculate_desired_replicas,
        executor.scale_deployment,
        executor.check_ready_deployments_that_need_scaling,
    ):
        before = await world.state(d1)
        assert await operation([before]) == DeploymentExecutionResult(successes=[before], errors=[], skipped=[])
    assert world.circuits() == [d1]
    assert (await world.state(d1)).active_count == 2

    await world.when(c.DestroyDeployment(deployment_id=d1))
    before = await world.state(d1)
    result = await executor.destroy_deployment([before])

    assert result == DeploymentExecutionResult(successes=[before], errors=[], skipped=[])
    assert world.circuits() == []
    await world.end_terminating(d1)
    await world.when(c.RecordEndpointUnregistered(deployment_id=d1, sent_at=world.clock.now))
    assert (await world.state(d1)).lifecycle is Lifecycle.DESTROYED
