"""Whatever the repository raises for one deployment, for one or for all at once, its neighbours do not notice."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from domain.deployment import Deployment, Lifecycle
from domain.failures import FailureKind
from handlers.deployment_repository import AutoScalingMetricsData, BatchUpdater, BulkOperationFailed, RouteCreator
from handlers.results import DeploymentExecutionResult
from tests.executor_doubles import (
    CALCULATE,
    DESIRED,
    METRICS,
    PROXY,
    ROUTES,
    RULES,
    SCALE,
    TARGETS,
    TERMINATE,
    URLS,
    RecordingDoubles,
    a_deployment,
    a_route,
)
from tests.executor_world import QUEUE_RULE

GOOD, BAD, OTHER = 1, 2, 3
BROKEN = RuntimeError("broken")

#: Each operation with every method of the repository that it uses.
USES = [
    ("check_pending_deployments", TARGETS),
    ("check_pending_deployments", URLS),
    ("check_ready_deployments_that_need_scaling", ROUTES),
    ("scale_deployment", ROUTES),
    ("scale_deployment", SCALE),
    ("calculate_desired_replicas", RULES),
    ("calculate_desired_replicas", METRICS),
    ("calculate_desired_replicas", CALCULATE),
    ("calculate_desired_replicas", DESIRED),
    ("destroy_deployment", ROUTES),
    ("destroy_deployment", TERMINATE),
    ("destroy_deployment", TARGETS),
]
STORES = {URLS, SCALE, DESIRED, TERMINATE}


@dataclass
class Neighbourhood:
    """Three deployments, each with a scaling group, two routes and a rule of its own, for which all goes well."""

    doubles: RecordingDoubles
    deployments: Sequence[Deployment]
    stored: dict[str, set[UUID]]

    async def run(self, operation: str) -> DeploymentExecutionResult:
        method: Callable[[Sequence[Deployment]], Awaitable[Any]] = getattr(self.doubles.executor, operation)
        result = await method(self.deployments)
        assert isinstance(result, DeploymentExecutionResult)
        return result

    def disturb(self, method: str, disturbance: Callable[[set[int]], Exception | None]) -> None:
        """Let ``method`` raise what the disturbance gives for the numbers of the deployments that it is called for."""
        undisturbed: Any = self.doubles.repository.outcomes[method]

        def disturbed(*args: Any) -> object:  # noqa: ANN401 - whatever the method takes
            error = disturbance({_number(thing) for thing in _things(method, *args)})
            if isinstance(error, BulkOperationFailed):
                undisturbed(*args)
                self.stored[method] -= error.failures.keys()
            if error is not None:
                raise error
            return undisturbed(*args)

        self.doubles.answers(method, disturbed)


def _number(thing: object) -> int:
    """The number of the deployment that an argument concerns."""
    match thing:
        case UUID(int=number):
            return number if number < 100 else number // 10 % 10
        case str():
            return int(thing.removeprefix("sg"))
        case Deployment() | RouteCreator():
            return _number(thing.id if isinstance(thing, Deployment) else thing.endpoint_id)
        case _:
            raise TypeError(thing)


def _things(method: str, *args: Any) -> Sequence[object]:  # noqa: ANN401 - whatever the method takes
    if method == SCALE:
        creators, updater = args
        return [*creators, *(updater.route_ids if isinstance(updater, BatchUpdater) else ())]
    return [args[0]] if isinstance(args[0], Deployment) else list(args[0])


@pytest.fixture
def three() -> Neighbourhood:
    # SCALE makes routes for the first and the second and takes one from the third.
    deployments = [
        a_deployment(number, replicas=replicas, group=f"sg{number}", lifecycle=Lifecycle.DESTROYING)
        for number, replicas in ((GOOD, 3), (BAD, 3), (OTHER, 1))
    ]
    routes = {d.id: [a_route(10 * d.id.int + n) for n in (1, 2)] for d in deployments}
    doubles = RecordingDoubles()
    stored: dict[str, set[UUID]] = {method: set() for method in STORES}

    def store(method: str) -> Callable[..., None]:
        return lambda *args: stored[method].update(UUID(int=_number(each)) for each in _things(method, *args))

    def some(of: Mapping[Any, Any]) -> Callable[..., Mapping[Any, Any]]:
        return lambda keys, *_: {key: of[key] for key in keys}

    doubles.answers(TARGETS, some({d.resource_group: PROXY for d in deployments}))
    doubles.answers(ROUTES, some(routes))
    doubles.answers(RULES, some({d.id: [QUEUE_RULE] for d in deployments}))
    doubles.answers(METRICS, lambda *_: AutoScalingMetricsData(routes_by_endpoint=routes))
    doubles.answers(CALCULATE, lambda deployment, *_: 10 + deployment.id.int)
    for method in STORES:
        doubles.answers(method, store(method))
    for deployment in deployments:
        doubles.creates(deployment, f"http://worker/{deployment.name}")
        doubles.deletes(deployment, None)
    return Neighbourhood(doubles, deployments, stored)


def expected_without_bad(three: Neighbourhood, operation: str) -> list[Deployment]:
    matching = operation != "check_ready_deployments_that_need_scaling"
    return [d for d in three.deployments if d.id.int != BAD and matching]


@pytest.mark.parametrize(("operation", "method"), USES)
async def test_what_is_raised_for_one_deployment_fails_that_one_only(
    three: Neighbourhood, operation: str, method: str
) -> None:
    three.disturb(method, lambda numbers: BROKEN if BAD in numbers else None)

    result = await three.run(operation)

    assert result.successes == expected_without_bad(three, operation)
    assert result.skipped == []
    [error] = [error for error in result.errors if error.deployment_info.id.int == BAD]
    assert "broken" in {error.reason, error.error_detail}
    assert (error.code, error.kind) == ("runtime-error", FailureKind.UNKNOWN)
    if method in STORES:
        assert three.stored[method] == {UUID(int=GOOD), UUID(int=OTHER)}


@pytest.mark.parametrize(("operation", "method"), [use for use in USES if use[1] != CALCULATE])
async def test_what_is_raised_for_all_at_once_fails_nobody_who_succeeds_alone(
    three: Neighbourhood, operation: str, method: str
) -> None:
    three.disturb(method, lambda numbers: BROKEN if len(numbers) > 1 else None)

    result = await three.run(operation)

    if operation != "check_ready_deployments_that_need_scaling":
        assert result.successes == list(three.deployments)
    assert [error for error in result.errors if error.code == "runtime-error"] == []
    if method in STORES:
        assert three.stored[method] == {d.id for d in three.deployments}


@pytest.mark.parametrize(("operation", "method"), [use for use in USES if use[1] in STORES])
async def test_parts_that_failed_by_their_own_account_are_not_tried_again(
    three: Neighbourhood, operation: str, method: str
) -> None:
    three.disturb(method, lambda _: BulkOperationFailed({UUID(int=BAD): BROKEN}))

    result = await three.run(operation)

    assert [d.id.int for d in result.successes] == [GOOD, OTHER]
    assert [error.deployment_info.id.int for error in result.errors] == [BAD]
    assert len(three.doubles.calls(method)) == 1


async def test_a_failed_part_that_is_nobodys_is_taken_for_everybodys(three: Neighbourhood) -> None:
    three.disturb(URLS, lambda _: BulkOperationFailed({UUID(int=99): BROKEN}))

    result = await three.run("check_pending_deployments")

    assert result.successes == []
    assert [error.deployment_info for error in result.errors] == list(three.deployments)


@pytest.mark.parametrize(("operation", "method"), [use for use in USES if use[1] != CALCULATE])
async def test_a_repository_that_is_down_fails_everybody_and_raises_nothing(
    three: Neighbourhood, operation: str, method: str
) -> None:
    three.disturb(method, lambda _: ConnectionError())

    result = await three.run(operation)

    assert result.successes == result.skipped == []
    assert [error.deployment_info for error in result.errors] == list(three.deployments)
    assert all("ConnectionError" in {error.reason, error.error_detail} for error in result.errors)


async def test_a_pool_without_a_session_fails_whom_it_concerns_and_raises_nothing(three: Neighbourhood) -> None:
    def closed() -> None:
        raise RuntimeError("the client pool is closed")

    three.doubles.session.load_client_session = closed  # type: ignore[method-assign, assignment] # the pool is closed

    result = await three.run("check_pending_deployments")

    assert {error.reason for error in result.errors} == {"the client pool is closed"}
