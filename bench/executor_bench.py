"""How many deployments a second each operation of the executor handles when everything around it answers at once.

Run it from the top of the project: ``python -m bench.executor_bench``. The repository and the HTTP session are doubles
in memory, so what is measured is the executor, the client of the proxy and the policy for calls. Beside each number
stands the one of the system that the executor's specification was taken from, measured in the same way.
"""

# ruff: noqa: ARG002 - the doubles take what the ports say, whether or not they look at it

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from rich.console import Console
from rich.table import Table

from domain.autoscaling.rules import Comparator, MetricSource, StepRule
from domain.deployment import Deployment, Lifecycle, ReplicaSpec
from domain.revision import Revision
from domain.routes import Route, RouteStatus
from handlers.deployment_repository import (
    AutoScalingMetricsData,
    AutoScalingRule,
    BatchUpdater,
    RouteCreator,
    ScalingGroupProxyTarget,
)
from handlers.executor import DeploymentExecutor
from handlers.results import DeploymentExecutionResult

BATCH = 1_000
ROUNDS = 20
NOW = datetime(2026, 3, 1, tzinfo=UTC)
REVISION = Revision(revision_id=uuid4(), image="image:1", model="llama")
RULE = StepRule(
    name="busy",
    source=MetricSource.KERNEL,
    metric="cpu_util",
    comparator=Comparator.GREATER_THAN,
    threshold=80,
    step=1,
)


def deployment(replicas: int) -> Deployment:
    """Make one that wants so many replicas."""
    return Deployment(
        id=uuid4(),
        version=3,
        name="svc",
        resource_group="sg1",
        domain="default",
        project=uuid4(),
        owner=uuid4(),
        open_to_public=False,
        created_at=NOW,
        digest="",
        lifecycle=Lifecycle.SCALING,
        replica_spec=ReplicaSpec(replica_count=replicas),
        target_revision=REVISION,
    )


def route() -> Route:
    """Make one that serves."""
    return Route(
        id=uuid4(),
        revision_id=REVISION.revision_id,
        status=RouteStatus.HEALTHY,
        traffic_ratio=1.0,
        created_at=NOW,
        status_since=NOW,
    )


class InstantRepository:
    """Has two routes for each deployment, and the same rules for all."""

    def __init__(self, deployments: Sequence[Deployment], rules: Sequence[AutoScalingRule]) -> None:
        self._routes = {d.id: [route(), route()] for d in deployments}
        self._rules = dict.fromkeys(self._routes, rules)
        self._metrics = AutoScalingMetricsData(routes_by_endpoint=self._routes)

    async def fetch_scaling_group_proxy_targets(
        self, scaling_groups: set[str]
    ) -> Mapping[str, ScalingGroupProxyTarget | None]:
        return dict.fromkeys(scaling_groups, ScalingGroupProxyTarget("proxy:8080", "token"))

    async def update_endpoint_urls_bulk(self, urls: Mapping[UUID, str]) -> None: ...

    async def fetch_active_routes_by_endpoint_ids(self, endpoint_ids: set[UUID]) -> Mapping[UUID, Sequence[Route]]:
        return {key: self._routes[key] for key in endpoint_ids}

    async def scale_routes(self, creators: Sequence[RouteCreator], updater: BatchUpdater | None) -> None: ...

    async def fetch_auto_scaling_rules_by_endpoint_ids(
        self, endpoint_ids: set[UUID]
    ) -> Mapping[UUID, Sequence[AutoScalingRule]]:
        return {key: self._rules[key] for key in endpoint_ids}

    async def fetch_metrics_for_autoscaling(
        self, deployments: Sequence[Deployment], rules: Mapping[UUID, Sequence[AutoScalingRule]]
    ) -> AutoScalingMetricsData:
        return self._metrics

    async def update_desired_replicas_bulk(self, desired: Mapping[UUID, int]) -> None: ...

    async def calculate_desired_replicas_for_deployment(
        self, deployment: Deployment, rules: Sequence[AutoScalingRule], metrics: AutoScalingMetricsData
    ) -> int | None:
        return 5

    async def mark_terminating_route_status_bulk(self, route_ids: Collection[UUID]) -> None: ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What a proxy answers to a create, and, as far as anybody looks, to a delete."""

    status_code: int = 200
    content: bytes = b'{"success": true, "endpoint": "http://127.0.0.1:10240/", "health_check_enabled": true}'


class InstantPool:
    """Is its own session, and answers at once."""

    def load_client_session(self) -> "InstantPool":
        return self

    async def request(self, method: str, url: str, **_: Any) -> Answer:  # noqa: ANN401 - as the port has it
        return Answer()


Operation = Callable[[Sequence[Deployment]], Awaitable[DeploymentExecutionResult]]


async def best_rate(operation: Operation, deployments: Sequence[Deployment]) -> float:
    """Deployments a second in the best of some rounds: what else runs on the machine only ever slows down."""
    best = float("inf")
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        result = await operation(deployments)
        best = min(best, time.perf_counter() - begun)
        if len(result.successes) != len(deployments):
            raise RuntimeError(f"only {len(result.successes)} of {len(deployments)} deployments succeeded")
    return len(deployments) / best


async def main() -> None:
    """Measure every operation and print the table."""
    table = Table("operation", "deployments/s", "specification's system", title=f"batches of {BATCH}")
    by_hand = [deployment(replicas=3) for _ in range(BATCH)]
    matching = [deployment(replicas=2) for _ in range(BATCH)]
    plain = DeploymentExecutor(InstantRepository([*by_hand, *matching], ()), InstantPool())
    ruled = DeploymentExecutor(InstantRepository(by_hand, [RULE]), InstantPool())
    for name, operation, deployments, reference in (
        ("check_pending", plain.check_pending_deployments, by_hand, 3_178),
        ("check_ready", plain.check_ready_deployments_that_need_scaling, matching, 83_000),
        ("scale", plain.scale_deployment, by_hand, 56_000),
        ("calculate, no rules", plain.calculate_desired_replicas, by_hand, 55_000),
        ("calculate, one rule", ruled.calculate_desired_replicas, by_hand, 19_000),
        ("destroy", plain.destroy_deployment, by_hand, 5_900),
    ):
        table.add_row(name, f"{await best_rate(operation, deployments):,.0f}", f"{reference:,}")
    Console().print(table)


if __name__ == "__main__":
    asyncio.run(main())
