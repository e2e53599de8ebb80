"""The five operations that bring deployments to where they should be.

Each takes a sequence of deployments and answers for every one of them: done, failed with a reason, or skipped. A
failure, also one of the repository, stays with the deployment that it concerns.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar
from uuid import UUID

from domain.chunks import chunks
from domain.deployment import Deployment
from domain.failures import FailureKind
from domain.routes import Route
from handlers.app_proxy import DEFAULT_TIMEOUT_SECONDS, AppProxyClient
from handlers.app_proxy_errors import failure_kind
from handlers.client_session import ClientPool
from handlers.create_request import create_request
from handlers.deployment_repository import (
    AutoScalingMetricsData,
    AutoScalingRule,
    BatchUpdater,
    DeploymentRepository,
    ScalingGroupProxyTarget,
)
from handlers.isolation import attempt, fetch_apart, side_by_side, store_apart
from handlers.ledger import ExecutionLedger, failure_code, failure_text
from handlers.log_context import concerning
from handlers.proxy_calls import ProxyCalls
from handlers.results import DeploymentExecutionResult
from handlers.route_changes import RouteChange, route_change
from handlers.traces import TraceOf, no_trace

log = logging.getLogger(__name__)

T = TypeVar("T")

#: The code of the error that says that active routes and target differ.
REPLICA_COUNT_MISMATCH = "replica-count-mismatch"

_REGISTER = "Failed to register endpoint"
_FETCH_ROUTES = "Failed to fetch active routes"
_SCALE = "Failed to scale deployment"
_CALCULATE = "Failed to calculate desired replicas"
_TERMINATE = "Failed to terminate routes"
_UNREGISTER = "Failed to unregister endpoint"

_Targets = Mapping[str, ScalingGroupProxyTarget | None]
_ProxyCall = Callable[[AppProxyClient, Deployment], Awaitable[T]]
_OnFailure = Callable[[Deployment, Exception], None]
_Store = Callable[[Mapping[UUID, T]], Awaitable[None]]


class DeploymentExecutor:
    """Does the work that deployments are due for.

    ``proxy_calls`` bounds the calls to each proxy, and each call ends within ``proxy_timeout_seconds``. Of one run at
    most ``calls_at_once`` calls (count) are under way or wait for their turn, to all proxies together. ``trace_of``
    says which trace a deployment's work belongs to, for what is logged.
    """

    def __init__(
        self,
        deployment_repo: DeploymentRepository,
        client_pool: ClientPool,
        *,
        proxy_calls: ProxyCalls | None = None,
        proxy_timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
        calls_at_once: int = 1_000,
        trace_of: TraceOf = no_trace,
    ) -> None:
        self._repo = deployment_repo
        self._client_pool = client_pool
        self._proxy_calls = proxy_calls or ProxyCalls()
        self._proxy_timeout_seconds = proxy_timeout_seconds
        self._calls_at_once = calls_at_once
        self._trace_of = trace_of

    async def check_pending_deployments(self, deployments: Sequence[Deployment]) -> DeploymentExecutionResult:
        """Register each endpoint at the proxy of its scaling group and store the URL that the proxy gives.

        URLs that come at about the same time are stored together; a call that takes long keeps no other's URL waiting.
        Skipped: deployments without a target revision or without a proxy target. An endpoint that the proxy has
        already is adopted.
        """
        ledger = ExecutionLedger(deployments)
        for deployment in deployments:
            if deployment.target_revision is None:
                extra = {"deployment_id": deployment.id}
                log.warning("Deployment %s has no target revision, skipping", deployment.id, extra=extra)
                ledger.skip(deployment)

        def failed(deployment: Deployment, error: Exception) -> None:
            ledger.fail_by(deployment, error, _REGISTER)

        targets = await self._proxy_targets(ledger.remaining(), failed)
        for deployment in ledger.remaining():
            if targets.get(deployment.resource_group) is None:
                group = deployment.resource_group
                log.warning("No proxy target found for scaling group %s, skipping deployment %s", group, deployment.id)
                ledger.skip(deployment)

        async def store(urls: Mapping[UUID, str]) -> None:
            ledger.fail_each(await store_apart(self._repo.update_endpoint_urls_bulk, urls), _REGISTER)

        await self._call_proxies(ledger.remaining(), targets, _register, failed, store)
        return ledger.result()

    async def check_ready_deployments_that_need_scaling(
        self, deployments: Sequence[Deployment]
    ) -> DeploymentExecutionResult:
        """Hold the number of active routes against the target; a difference is an error, to be scaled away."""
        ledger = ExecutionLedger(deployments)
        routes = await self._active_routes(ledger)
        for deployment in ledger.remaining():
            expected, found = deployment.target_replica_count, len(routes.get(deployment.id, ()))
            if expected != found:
                ledger.fail(
                    deployment,
                    "Mismatched active routes",
                    f"Expected {expected} replicas, found {found}",
                    code=REPLICA_COUNT_MISMATCH,
                    kind=FailureKind.TRANSIENT,
                )
        return ledger.result()

    async def scale_deployment(self, deployments: Sequence[Deployment]) -> DeploymentExecutionResult:
        """Make the routes that are missing, or take away those that are too many; skipped where neither is so."""
        ledger = ExecutionLedger(deployments)
        routes = await self._active_routes(ledger)
        changes: dict[UUID, RouteChange] = {}
        for deployment in ledger.remaining():
            try:
                change = route_change(deployment, routes.get(deployment.id, ()))
            except Exception as error:  # noqa: BLE001 - one deployment's odd route never fails its neighbours
                ledger.fail_by(deployment, error, _SCALE)
                continue
            if change is None:
                ledger.skip(deployment)
            else:
                changes[deployment.id] = change
        ledger.fail_each(await store_apart(self._scale_routes, changes), _SCALE)
        return ledger.result()

    async def calculate_desired_replicas(self, deployments: Sequence[Deployment]) -> DeploymentExecutionResult:
        """Bring the desired number of replicas to what the scaling rules say, or without any the number set by hand.

        Skipped: deployments whose number stays as it is.
        """
        ledger = ExecutionLedger(deployments)
        ids = [deployment.id for deployment in deployments]
        rules, failures = await fetch_apart(self._repo.fetch_auto_scaling_rules_by_endpoint_ids, ids)
        ledger.fail_each(failures, _CALCULATE)
        metrics = await self._metrics(ledger, rules)
        desired: dict[UUID, int] = {}
        for deployment in ledger.remaining():
            own_rules, own_metrics = rules.get(deployment.id, ()), metrics[deployment.id]
            count = await attempt(partial(self._desired, deployment, own_rules, own_metrics))
            if isinstance(count, Exception):
                ledger.fail_by(deployment, count, _CALCULATE)
            elif count is None:
                ledger.skip(deployment)
            else:
                desired[deployment.id] = count
        ledger.fail_each(await store_apart(self._repo.update_desired_replicas_bulk, desired), _CALCULATE)
        return ledger.result()

    async def destroy_deployment(self, deployments: Sequence[Deployment]) -> DeploymentExecutionResult:
        """Take away all routes, then the endpoint. Without a proxy target the endpoint is left, with a warning."""
        ledger = ExecutionLedger(deployments)
        routes = await self._active_routes(ledger)
        victims = {d.id: ids for d in ledger.remaining() if (ids := {r.id for r in routes.get(d.id, ())})}
        ledger.fail_each(await store_apart(self._terminate_routes, victims), _TERMINATE)

        def failed(deployment: Deployment, error: Exception) -> None:
            code = failure_code(error)
            ledger.fail(deployment, _UNREGISTER, failure_text(error), code=code, kind=failure_kind(error))

        targets = await self._proxy_targets(ledger.remaining(), failed)
        reachable = []
        for deployment in ledger.remaining():
            if targets.get(deployment.resource_group) is None:
                group = deployment.resource_group
                log.warning("No proxy target found for scaling group %s, leaving endpoint %s", group, deployment.id)
            else:
                reachable.append(deployment)
        await self._call_proxies(reachable, targets, _unregister, failed, _nothing_to_store)
        return ledger.result()

    async def _active_routes(self, ledger: ExecutionLedger) -> Mapping[UUID, Sequence[Route]]:
        ids = [deployment.id for deployment in ledger.remaining()]
        routes, failures = await fetch_apart(self._repo.fetch_active_routes_by_endpoint_ids, ids)
        ledger.fail_each(failures, _FETCH_ROUTES)
        return routes

    async def _proxy_targets(self, deployments: Sequence[Deployment], failed: _OnFailure) -> _Targets:
        groups = {deployment.resource_group for deployment in deployments}
        targets, failures = await fetch_apart(self._repo.fetch_scaling_group_proxy_targets, groups)
        for deployment in deployments:
            if error := failures.get(deployment.resource_group):
                failed(deployment, error)
        return targets

    async def _call_proxies(
        self,
        deployments: Sequence[Deployment],
        targets: _Targets,
        call: _ProxyCall[T],
        failed: _OnFailure,
        store: _Store[T],
    ) -> None:
        """Call the proxies for all deployments at once, as far as the limits allow; have the answers stored."""
        answers: dict[UUID, T] = {}

        async def call_one(deployment: Deployment) -> None:
            target = targets[deployment.resource_group]
            if target is None:
                return
            trace = self._trace_of(deployment.id)
            with concerning(deployment_id=deployment.id, trace_id=trace and trace.trace_id):
                answer = await attempt(partial(self._call_proxy, target, deployment, call))
                if isinstance(answer, Exception):
                    log.warning("Call to the proxy failed for deployment %s: %s", deployment.id, answer)
            if isinstance(answer, Exception):
                failed(deployment, answer)
            else:
                answers[deployment.id] = answer

        async def store_answers() -> None:
            some = dict(answers)
            answers.clear()
            await store(some)

        for some in chunks(deployments, self._calls_at_once):
            await side_by_side(map(call_one, some), store_answers)

    async def _call_proxy(self, target: ScalingGroupProxyTarget, deployment: Deployment, call: _ProxyCall[T]) -> T:
        seconds = self._proxy_timeout_seconds
        session = self._client_pool.load_client_session()
        client = AppProxyClient(session, target.addr, target.api_token, timeout_seconds=seconds)
        return await self._proxy_calls.run(target.addr, partial(call, client, deployment), timeout_seconds=seconds)

    async def _scale_routes(self, changes: Mapping[UUID, RouteChange]) -> None:
        creators = [creator for created, _ in changes.values() for creator in created]
        victims = frozenset(route_id for _, terminated in changes.values() for route_id in terminated)
        await self._repo.scale_routes(creators, BatchUpdater(route_ids=victims) if victims else None)

    async def _terminate_routes(self, victims: Mapping[UUID, set[UUID]]) -> None:
        await self._repo.mark_terminating_route_status_bulk(set().union(*victims.values()))

    async def _metrics(
        self, ledger: ExecutionLedger, rules: Mapping[UUID, Sequence[AutoScalingRule]]
    ) -> Mapping[UUID, AutoScalingMetricsData]:
        by_id = {deployment.id: deployment for deployment in ledger.remaining()}

        async def fetch(ids: set[UUID]) -> Mapping[UUID, AutoScalingMetricsData]:
            some = [by_id[key] for key in by_id if key in ids]
            data = await self._repo.fetch_metrics_for_autoscaling(some, {d.id: rules.get(d.id, ()) for d in some})
            return dict.fromkeys(ids, data)

        metrics, failures = await fetch_apart(fetch, by_id)
        ledger.fail_each(failures, _CALCULATE)
        return metrics

    async def _desired(
        self, deployment: Deployment, rules: Sequence[AutoScalingRule], metrics: AutoScalingMetricsData
    ) -> int | None:
        if rules:
            return await self._repo.calculate_desired_replicas_for_deployment(deployment, rules, metrics)
        by_hand = deployment.replica_spec.replica_count
        return by_hand if by_hand != len(metrics.routes_by_endpoint.get(deployment.id, ())) else None


async def _register(client: AppProxyClient, deployment: Deployment) -> str:
    answer = await client.create_endpoint(deployment.id, create_request(deployment))
    return str(answer["endpoint"])


async def _unregister(client: AppProxyClient, deployment: Deployment) -> None:
    await client.delete_endpoint(deployment.id)


async def _nothing_to_store(_answers: Mapping[UUID, None]) -> None:
    """What was unregistered leaves no answer."""
