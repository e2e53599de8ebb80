"""The specification's scenarios SC-DE-015 to SC-DE-018 and SC-DE-INT-001 with doubles for repository and proxy."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count

import pytest

from domain.deployment import Lifecycle
from domain.routes import Route
from handlers.deployment_repository import AutoScalingMetricsData, RouteCreator
from handlers.results import DeploymentExecutionError, DeploymentExecutionResult
from tests.executor_doubles import (
    DESIRED,
    MAKES,
    METRICS,
    PROXY,
    ROUTES,
    RULES,
    SCALE,
    TARGETS,
    TERMINATE,
    URLS,
    Doubles,
    a_deployment,
    a_route,
    doubles_made,
    logged,
)


@pytest.fixture(params=MAKES)
def doubles(request: pytest.FixtureRequest) -> Iterator[Doubles]:
    with doubles_made(request.param) as made:
        yield made


# --- destroy_deployment --------------------------------------------------------------------------------------------


async def test_sc_de_015_destruction_terminates_all_routes_and_unregisters_the_endpoint(doubles: Doubles) -> None:
    d1, route1, route2 = a_deployment(1, lifecycle=Lifecycle.DESTROYING), a_route(1), a_route(2)
    doubles.answers(ROUTES, {d1.id: [route1, route2]})
    doubles.answers(TARGETS, {"sg1": PROXY})
    doubles.answers(TERMINATE, None)
    doubles.deletes(d1, None)

    result = await doubles.executor.destroy_deployment([d1])

    assert result == DeploymentExecutionResult(successes=[d1], errors=[], skipped=[])
    assert doubles.calls(TERMINATE) == [({route1.id, route2.id},)]
    assert doubles.calls(TARGETS) == [({"sg1"},)]
    assert doubles.deleted() == [d1.id]


async def test_sc_de_016_an_endpoint_deletion_failure_is_captured(doubles: Doubles) -> None:
    d1, route1 = a_deployment(1, lifecycle=Lifecycle.DESTROYING), a_route(1)
    doubles.answers(ROUTES, {d1.id: [route1]})
    doubles.answers(TARGETS, {"sg1": PROXY})
    doubles.answers(TERMINATE, None)
    doubles.deletes(d1, Exception("Endpoint not found"))

    result = await doubles.executor.destroy_deployment([d1])

    error = DeploymentExecutionError(d1, "Failed to unregister endpoint", "Endpoint not found")
    assert result == DeploymentExecutionResult(successes=[], errors=[error], skipped=[])
    assert doubles.calls(TERMINATE) == [({route1.id},)]


async def test_sc_de_017_without_proxy_target_destruction_logs_and_continues(
    doubles: Doubles, caplog: pytest.LogCaptureFixture
) -> None:
    d1, route1 = a_deployment(1, lifecycle=Lifecycle.DESTROYING), a_route(1)
    doubles.answers(ROUTES, {d1.id: [route1]})
    doubles.answers(TARGETS, {"sg1": None})
    doubles.answers(TERMINATE, None)

    result = await doubles.executor.destroy_deployment([d1])

    assert result == DeploymentExecutionResult(successes=[d1], errors=[], skipped=[])
    assert ("WARNING", f"No proxy target found for scaling group sg1, leaving endpoint {d1.id}") in logged(caplog)
    assert doubles.calls(TERMINATE) == [({route1.id},)]
    assert doubles.deleted() == []


# --- nothing to do -------------------------------------------------------------------------------------------------


async def test_sc_de_018_an_empty_list_returns_at_once_and_asks_the_repository_nothing(doubles: Doubles) -> None:
    executor = doubles.executor

    for operation in (
        executor.check_pending_deployments,
        executor.check_ready_deployments_that_need_scaling,
        executor.scale_deployment,
        executor.calculate_desired_replicas,
        executor.destroy_deployment,
    ):
        assert await operation([]) == DeploymentExecutionResult(successes=[], errors=[], skipped=[])
    assert doubles.all_calls() == []


# --- the whole way -------------------------------------------------------------------------------------------------


async def test_sc_de_int_001_full_deployment_lifecycle(doubles: Doubles) -> None:
    d1 = a_deployment(1, replicas=2)
    succeeded = DeploymentExecutionResult(successes=[d1], errors=[], skipped=[])
    routes: list[Route] = []
    numbers = count(1)

    def scale(creators: Sequence[RouteCreator], _updater: None) -> None:
        routes.extend(a_route(next(numbers)) for _ in creators)

    doubles.answers(TARGETS, {"sg1": PROXY})
    doubles.creates(d1, "https://endpoint1.example.com")
    doubles.answers(URLS, None)
    doubles.answers(RULES, {d1.id: []})
    doubles.answers(METRICS, lambda *_: AutoScalingMetricsData(routes_by_endpoint={d1.id: routes}))
    doubles.answers(DESIRED, None)
    doubles.answers(ROUTES, lambda _: {d1.id: routes})
    doubles.answers(SCALE, scale)
    doubles.answers(TERMINATE, lambda ids: routes.clear())
    doubles.deletes(d1, None)

    assert await doubles.executor.check_pending_deployments([d1]) == succeeded
    assert await doubles.executor.calculate_desired_replicas([d1]) == succeeded
    assert await doubles.executor.scale_deployment([d1]) == succeeded
    assert await doubles.executor.check_ready_deployments_that_need_scaling([d1]) == succeeded
    ending = replace(d1, lifecycle=Lifecycle.DESTROYING)
    result = await doubles.executor.destroy_deployment([ending])

    assert result == DeploymentExecutionResult(successes=[ending], errors=[], skipped=[])
    assert doubles.calls(DESIRED) == [({d1.id: 2},)]
    assert doubles.created() == doubles.deleted() == [d1.id]
    assert len(doubles.calls(TERMINATE)[0][0]) == 2
    assert routes == []
