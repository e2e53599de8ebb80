"""Each result stays with its deployment, whatever was skipped, failed, or came back in another order."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.deployment import Deployment, Lifecycle
from domain.routes import RouteStatus
from handlers.deployment_repository import AutoScalingMetricsData, BatchUpdater, RouteCreator
from handlers.proxy_calls import ProxyCallLimits, ProxyCalls
from handlers.results import DeploymentExecutionResult
from tests.executor_doubles import (
    CALCULATE,
    DESIRED,
    METRICS,
    PROXY,
    REVISION,
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


@dataclass(frozen=True)
class Fate:
    """What is in store for one deployment; ``steps`` is how late its call to the proxy ends."""

    revision: bool
    group: str
    steps: int
    call_fails: bool
    store_fails: bool
    routes: int
    target: int


fates = st.lists(
    st.builds(
        Fate,
        revision=st.booleans(),
        group=st.sampled_from(["reachable", "reachable", "without-proxy", "broken"]),
        steps=st.integers(0, 5),
        call_fails=st.booleans(),
        store_fails=st.booleans(),
        routes=st.integers(0, 4),
        target=st.integers(0, 4),
    ),
    max_size=12,
)


class Neighbours:
    """Deployments with their fates, between doubles that follow them; ``stored`` is what was written for whom."""

    def __init__(self, fates: Sequence[Fate]) -> None:
        self.fates = {UUID(int=number): fate for number, fate in enumerate(fates, 1)}
        self.deployments = [
            a_deployment(
                key.int,
                replicas=fate.target,
                revision=REVISION if fate.revision else None,
                group=fate.group,
                lifecycle=Lifecycle.DESTROYING,
            )
            for key, fate in self.fates.items()
        ]
        self.routes = {
            key: [a_route(10 * key.int + n, RouteStatus.HEALTHY, age=n) for n in range(fate.routes)]
            for key, fate in self.fates.items()
        }
        self.stored: dict[UUID, object] = {}
        # Without the breaker, which would leave the proxy alone after some failures in a row.
        self.doubles = RecordingDoubles(ProxyCalls(ProxyCallLimits(failure_threshold=1_000)))
        self._follow()

    def _follow(self) -> None:
        doubles = self.doubles
        doubles.answers(TARGETS, self._targets)
        doubles.answers(ROUTES, lambda ids: {key: self.routes[key] for key in ids})
        doubles.answers(RULES, lambda ids: {key: [QUEUE_RULE] if self.fates[key].revision else [] for key in ids})
        doubles.answers(METRICS, AutoScalingMetricsData(routes_by_endpoint=self.routes))
        doubles.answers(CALCULATE, self._calculate)
        doubles.answers(URLS, self._store)
        doubles.answers(DESIRED, self._store)
        doubles.answers(TERMINATE, lambda ids: self._store(dict.fromkeys(map(self._owner, ids), "terminating")))
        doubles.answers(SCALE, self._scale)
        doubles.session.request = self._request  # type: ignore[method-assign] # ends late

    def _owner(self, route_id: UUID) -> UUID:
        return next(key for key, routes in self.routes.items() if any(r.id == route_id for r in routes))

    def _targets(self, groups: set[str]) -> Mapping[str, object]:
        if "broken" in groups:
            raise RuntimeError("broken")
        return dict.fromkeys(groups & {"reachable"}, PROXY)

    def _calculate(self, deployment: Deployment, *_: object) -> int | None:
        fate = self.fates[deployment.id]
        if fate.call_fails:
            raise RuntimeError(deployment.name)
        return None if fate.steps == 0 else 100 + deployment.id.int

    def _scale(self, creators: Sequence[RouteCreator], updater: BatchUpdater | None) -> None:
        changes: dict[UUID, object] = {}
        for creator in creators:
            changes[creator.endpoint_id] = len([c for c in creators if c.endpoint_id == creator.endpoint_id])
        for route_id in updater.route_ids if updater else ():
            owner = self._owner(route_id)
            changes[owner] = -len([key for key in (updater.route_ids if updater else ()) if self._owner(key) == owner])
        self._store(changes)

    def _store(self, values: Mapping[UUID, object]) -> None:
        if any(self.fates[key].store_fails for key in values):
            raise RuntimeError("not stored")
        self.stored.update(values)

    async def _request(self, method: str, url: str, **_: Any) -> Any:  # noqa: ANN401 - as the port has it
        key = UUID(url.rpartition("/")[2])
        for _step in range(self.fates[key].steps):
            await asyncio.sleep(0)
        if self.fates[key].call_fails:
            raise RuntimeError(f"d{key.int}")
        self.doubles.session.outcomes[method, key] = {"endpoint": f"http://worker/{key.int}"}
        return await type(self.doubles.session).request(
            self.doubles.session, method, url, headers={"X-BackendAI-Token": "token"}
        )

    def check(self, result: DeploymentExecutionResult, expected: Mapping[UUID, str]) -> None:
        """Everybody stands in the list that is expected, once and in order, and errors are the deployment's own."""
        errors = [error.deployment_info for error in result.errors]
        for name, found in (("success", result.successes), ("error", errors), ("skipped", result.skipped)):
            assert [d.id for d in found] == [key for key, outcome in expected.items() if outcome == name]
        for error in result.errors:
            own = error.deployment_info.name in {error.reason, error.error_detail}
            shared = {"broken", "not stored", "Mismatched active routes"} & {error.reason, error.error_detail}
            assert own or shared


@given(fates)
@settings(deadline=None)
async def test_every_url_is_stored_for_the_deployment_that_it_was_made_for(fates: list[Fate]) -> None:
    neighbours = Neighbours(fates)

    result = await neighbours.doubles.executor.check_pending_deployments(neighbours.deployments)

    def outcome(fate: Fate) -> str:
        if not fate.revision or fate.group == "without-proxy":
            return "skipped"
        return "error" if fate.group == "broken" or fate.call_fails or fate.store_fails else "success"

    expected = {key: outcome(fate) for key, fate in neighbours.fates.items()}
    neighbours.check(result, expected)
    urls = {key: f"http://worker/{key.int}" for key, outcome in expected.items() if outcome == "success"}
    assert neighbours.stored == urls


@given(fates)
@settings(deadline=None)
async def test_every_count_is_held_against_the_target_of_its_own_deployment(fates: list[Fate]) -> None:
    neighbours = Neighbours(fates)

    result = await neighbours.doubles.executor.check_ready_deployments_that_need_scaling(neighbours.deployments)

    expected = {k: "success" if fate.routes == fate.target else "error" for k, fate in neighbours.fates.items()}
    neighbours.check(result, expected)
    for error in result.errors:
        fate = neighbours.fates[error.deployment_info.id]
        assert error.error_detail == f"Expected {fate.target} replicas, found {fate.routes}"


@given(fates)
@settings(deadline=None)
async def test_every_deployment_gets_the_routes_that_it_lacks_and_no_others(fates: list[Fate]) -> None:
    neighbours = Neighbours(fates)

    result = await neighbours.doubles.executor.scale_deployment(neighbours.deployments)

    def outcome(fate: Fate) -> str:
        if fate.target == fate.routes or (fate.target > fate.routes and not fate.revision):
            return "skipped"
        return "error" if fate.store_fails else "success"

    expected = {key: outcome(fate) for key, fate in neighbours.fates.items()}
    neighbours.check(result, expected)
    changes = {key: fate.target - fate.routes for key, fate in neighbours.fates.items() if expected[key] == "success"}
    assert neighbours.stored == changes


@given(fates)
@settings(deadline=None)
async def test_every_number_is_stored_for_the_deployment_that_it_was_calculated_for(fates: list[Fate]) -> None:
    neighbours = Neighbours(fates)

    result = await neighbours.doubles.executor.calculate_desired_replicas(neighbours.deployments)

    def number(key: UUID, fate: Fate) -> int | None:
        if fate.revision:
            return 100 + key.int if fate.steps else None
        return fate.target if fate.target != fate.routes else None

    def outcome(key: UUID, fate: Fate) -> str:
        if fate.revision and fate.call_fails:
            return "error"
        if number(key, fate) is None:
            return "skipped"
        return "error" if fate.store_fails else "success"

    expected = {key: outcome(key, fate) for key, fate in neighbours.fates.items()}
    neighbours.check(result, expected)
    numbers = {key: number(key, fate) for key, fate in neighbours.fates.items() if expected[key] == "success"}
    assert neighbours.stored == numbers


@given(fates)
@settings(deadline=None)
async def test_every_deployment_loses_its_own_routes_and_its_own_endpoint(fates: list[Fate]) -> None:
    neighbours = Neighbours(fates)

    result = await neighbours.doubles.executor.destroy_deployment(neighbours.deployments)

    def outcome(fate: Fate) -> str:
        if fate.routes and fate.store_fails:
            return "error"
        return "error" if fate.group == "broken" or (fate.group == "reachable" and fate.call_fails) else "success"

    expected = {key: outcome(fate) for key, fate in neighbours.fates.items()}
    neighbours.check(result, expected)
    terminated = {key for key, fate in neighbours.fates.items() if fate.routes and not fate.store_fails}
    assert neighbours.stored == dict.fromkeys(terminated, "terminating")
    reachable = {key for key, fate in neighbours.fates.items() if fate.group == "reachable"}
    deleted = {key for key in reachable if expected[key] == "success"}
    assert set(neighbours.doubles.deleted()) == deleted
