"""The specification's scenarios SC-DE-001 to SC-DE-014 with doubles for repository and proxy, as they are written."""

from collections.abc import Iterator

import pytest

from domain.autoscaling.rules import Comparator, MetricSource, StepRule
from domain.routes import RouteStatus
from handlers.deployment_repository import AutoScalingMetricsData, BatchUpdater
from handlers.results import DeploymentExecutionError, DeploymentExecutionResult
from tests.executor_doubles import (
    CALCULATE,
    DESIRED,
    MAKES,
    METRICS,
    PROXY,
    ROUTES,
    RULES,
    SCALE,
    TARGETS,
    URLS,
    Doubles,
    a_deployment,
    a_route,
    doubles_made,
    logged,
)

RULE = StepRule(
    name="busy",
    source=MetricSource.KERNEL,
    metric="cpu_util",
    comparator=Comparator.GREATER_THAN,
    threshold=80,
    step=2,
)


@pytest.fixture(params=MAKES)
def doubles(request: pytest.FixtureRequest) -> Iterator[Doubles]:
    with doubles_made(request.param) as made:
        yield made


# --- check_pending_deployments -------------------------------------------------------------------------------------


async def test_sc_de_001_endpoint_registration_succeeds_for_all_deployments(doubles: Doubles) -> None:
    d1 = a_deployment(1)
    doubles.answers(TARGETS, {"sg1": PROXY})
    doubles.creates(d1, "https://endpoint1.example.com")
    doubles.answers(URLS, None)

    result = await doubles.executor.check_pending_deployments([d1])

    assert result == DeploymentExecutionResult(successes=[d1], errors=[], skipped=[])
    assert doubles.calls(TARGETS) == [({"sg1"},)]
    assert doubles.created() == [d1.id]
    assert doubles.calls(URLS) == [({d1.id: "https://endpoint1.example.com"},)]


async def test_sc_de_002_a_deployment_without_target_revision_is_skipped(
    doubles: Doubles, caplog: pytest.LogCaptureFixture
) -> None:
    d1 = a_deployment(1, revision=None)
    doubles.answers(TARGETS, {"sg1": PROXY})

    result = await doubles.executor.check_pending_deployments([d1])

    assert result == DeploymentExecutionResult(successes=[], errors=[], skipped=[d1])
    assert ("WARNING", f"Deployment {d1.id} has no target revision, skipping") in logged(caplog)
    assert doubles.created() == []
    assert doubles.calls(URLS) == []


@pytest.mark.parametrize("targets", [{"sg1": None}, {}], ids=["none", "absent"])
async def test_sc_de_003_a_scaling_group_without_proxy_target_is_skipped(
    doubles: Doubles, targets: dict[str, None], caplog: pytest.LogCaptureFixture
) -> None:
    d1 = a_deployment(1, group="sg1")
    doubles.answers(TARGETS, targets)

    result = await doubles.executor.check_pending_deployments([d1])

    assert result == DeploymentExecutionResult(successes=[], errors=[], skipped=[d1])
    expected = f"No proxy target found for scaling group sg1, skipping deployment {d1.id}"
    assert ("WARNING", expected) in logged(caplog)
    assert doubles.created() == []


async def test_sc_de_004_an_endpoint_registration_failure_is_captured(doubles: Doubles) -> None:
    d1 = a_deployment(1)
    doubles.answers(TARGETS, {"sg1": PROXY})
    doubles.creates(d1, Exception("Connection refused"))

    result = await doubles.executor.check_pending_deployments([d1])

    error = DeploymentExecutionError(d1, "Connection refused", "Failed to register endpoint")
    assert result == DeploymentExecutionResult(successes=[], errors=[error], skipped=[])
    assert doubles.calls(URLS) == []


async def test_sc_de_005_some_deployments_fail_and_the_others_succeed(doubles: Doubles) -> None:
    d1, d2 = a_deployment(1), a_deployment(2)
    doubles.answers(TARGETS, {"sg1": PROXY})
    doubles.creates(d1, "https://endpoint1.example.com")
    doubles.creates(d2, Exception("Timeout"))
    doubles.answers(URLS, None)

    result = await doubles.executor.check_pending_deployments([d1, d2])

    error = DeploymentExecutionError(d2, "Timeout", "Failed to register endpoint")
    assert result == DeploymentExecutionResult(successes=[d1], errors=[error], skipped=[])
    assert doubles.calls(URLS) == [({d1.id: "https://endpoint1.example.com"},)]


# --- check_ready_deployments_that_need_scaling ---------------------------------------------------------------------


async def test_sc_de_006_a_matching_replica_count_is_a_success(doubles: Doubles) -> None:
    d1 = a_deployment(1, replicas=3)
    doubles.answers(ROUTES, {d1.id: [a_route(n) for n in range(3)]})

    result = await doubles.executor.check_ready_deployments_that_need_scaling([d1])

    assert result == DeploymentExecutionResult(successes=[d1], errors=[], skipped=[])
    assert doubles.calls(ROUTES) == [({d1.id},)]


async def test_sc_de_007_a_replica_count_mismatch_is_an_error(doubles: Doubles) -> None:
    d1 = a_deployment(1, replicas=3)
    doubles.answers(ROUTES, {d1.id: [a_route(1), a_route(2)]})

    result = await doubles.executor.check_ready_deployments_that_need_scaling([d1])

    error = DeploymentExecutionError(d1, "Mismatched active routes", "Expected 3 replicas, found 2")
    assert result == DeploymentExecutionResult(successes=[], errors=[error], skipped=[])


# --- scale_deployment ----------------------------------------------------------------------------------------------


async def test_sc_de_008_scaling_out_creates_the_missing_routes(doubles: Doubles) -> None:
    d1 = a_deployment(1, replicas=3)
    doubles.answers(ROUTES, {d1.id: [a_route(1)]})
    doubles.answers(SCALE, None)

    result = await doubles.executor.scale_deployment([d1])

    assert result == DeploymentExecutionResult(successes=[d1], errors=[], skipped=[])
    [(creators, updater)] = doubles.calls(SCALE)
    assert len(creators) == 2
    assert {creator.endpoint_id for creator in creators} == {d1.id}
    assert updater is None


async def test_sc_de_009_scaling_in_terminates_the_routes_that_are_too_many(doubles: Doubles) -> None:
    d1 = a_deployment(1, replicas=2)
    routes = [a_route(1, age=40), a_route(2, age=10), a_route(3, RouteStatus.UNHEALTHY, age=90), a_route(4, age=30)]
    doubles.answers(ROUTES, {d1.id: routes})
    doubles.answers(SCALE, None)

    result = await doubles.executor.scale_deployment([d1])

    assert result == DeploymentExecutionResult(successes=[d1], errors=[], skipped=[])
    [(creators, updater)] = doubles.calls(SCALE)
    assert list(creators) == []
    assert isinstance(updater, BatchUpdater)
    assert updater.route_ids == {routes[2].id, routes[1].id}
    assert updater.status is RouteStatus.TERMINATING


async def test_sc_de_010_no_scaling_needed_is_skipped(doubles: Doubles) -> None:
    d1 = a_deployment(1, replicas=2)
    doubles.answers(ROUTES, {d1.id: [a_route(1), a_route(2)]})

    result = await doubles.executor.scale_deployment([d1])

    assert result == DeploymentExecutionResult(successes=[], errors=[], skipped=[d1])
    assert doubles.calls(SCALE) == []


# --- calculate_desired_replicas ------------------------------------------------------------------------------------


async def test_sc_de_011_replicas_are_calculated_from_autoscaling_rules(doubles: Doubles) -> None:
    d1 = a_deployment(1, replicas=3)
    metrics = AutoScalingMetricsData(routes_by_endpoint={d1.id: [a_route(1)]})
    doubles.answers(RULES, {d1.id: [RULE]})
    doubles.answers(METRICS, metrics)
    doubles.answers(CALCULATE, 5)
    doubles.answers(DESIRED, None)

    result = await doubles.executor.calculate_desired_replicas([d1])

    assert result == DeploymentExecutionResult(successes=[d1], errors=[], skipped=[])
    assert doubles.calls(RULES) == [({d1.id},)]
    assert doubles.calls(METRICS) == [([d1], {d1.id: [RULE]})]
    assert doubles.calls(CALCULATE) == [(d1, [RULE], metrics)]
    assert doubles.calls(DESIRED) == [({d1.id: 5},)]


async def test_sc_de_012_without_autoscaling_rules_the_manual_replica_count_is_used(doubles: Doubles) -> None:
    d1 = a_deployment(1, replicas=3)
    doubles.answers(RULES, {d1.id: []})
    doubles.answers(METRICS, AutoScalingMetricsData(routes_by_endpoint={d1.id: [a_route(1)]}))
    doubles.answers(DESIRED, None)

    result = await doubles.executor.calculate_desired_replicas([d1])

    assert result == DeploymentExecutionResult(successes=[d1], errors=[], skipped=[])
    assert doubles.calls(CALCULATE) == []
    assert doubles.calls(DESIRED) == [({d1.id: 3},)]


async def test_sc_de_013_no_change_needed_is_skipped(doubles: Doubles) -> None:
    d1 = a_deployment(1)
    doubles.answers(RULES, {d1.id: [RULE]})
    doubles.answers(METRICS, AutoScalingMetricsData())
    doubles.answers(CALCULATE, None)

    result = await doubles.executor.calculate_desired_replicas([d1])

    assert result == DeploymentExecutionResult(successes=[], errors=[], skipped=[d1])
    assert doubles.calls(DESIRED) == []


async def test_sc_de_014_a_replica_calculation_failure_is_captured(doubles: Doubles) -> None:
    d1 = a_deployment(1)
    doubles.answers(RULES, {d1.id: [RULE]})
    doubles.answers(METRICS, AutoScalingMetricsData())
    doubles.raises(CALCULATE, Exception("Metrics unavailable"))

    result = await doubles.executor.calculate_desired_replicas([d1])

    error = DeploymentExecutionError(d1, "Metrics unavailable", "Failed to calculate desired replicas")
    assert result == DeploymentExecutionResult(successes=[], errors=[error], skipped=[])
    assert doubles.calls(DESIRED) == []
