"""How many deployments a second each operation reconciles, with a durable log and a proxy that answers at once.

Everything counts that an operation leads to: loading from memory, the executor, deciding, and the commits of results.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import closing
from uuid import UUID

from bench.executor_bench import InstantPool
from bench.load import RESOURCE_GROUP, creation, new_ids
from bench.planes import deciding, plane_over
from bench.surroundings import Surroundings, in_database
from domain import commands as c
from domain.autoscaling.metric import MetricSource
from domain.autoscaling.rules import Comparator, ScalingPolicy, StepRule
from domain.autoscaling.samples import MetricSample
from domain.chunks import chunks
from domain.operations import Operation
from domain.routes import RouteStatus
from handlers.deployment_repository import ScalingGroupProxyTarget
from handlers.ports import SampleReport
from service.bootstrap import ControlPlane, utc_now
from service.settings import Settings
from service.stores import stores_of

#: In this order each operation finds what the one before has left.
OPERATIONS = (
    Operation.CHECK_PENDING,
    Operation.SCALE,
    Operation.CHECK_READY,
    Operation.CALCULATE,
    Operation.DESTROY,
)
_AT_ONCE = 500
_RULE = StepRule(
    name="busy",
    source=MetricSource.KERNEL,
    metric="cpu_util",
    comparator=Comparator.GREATER_THAN,
    threshold=80,
    step=1,
)
_POLICY = ScalingPolicy(rules=(_RULE,), max_replicas=100)
TARGETS = {RESOURCE_GROUP: ScalingGroupProxyTarget("instant:80", "token")}


async def reconcile_rates(site: Surroundings, deployments: int) -> dict[str, float]:
    """Deployments a second by operation, for so many deployments (count)."""
    settings, _ = site.new_group(await site.new_topics())
    settings = in_database(settings, site.new_database())
    with closing(stores_of(settings).open_log()) as log:
        plane = plane_over(settings, log, client_pool=InstantPool(), proxy_targets=TARGETS)
        async with deciding(plane, settings):
            ids = new_ids(deployments)
            for some in chunks(ids, _AT_ONCE):
                await plane.decider.execute(list(map(_creation, some)), "bench")
            rates = {}
            for operation in OPERATIONS:
                if operation is Operation.CHECK_READY:
                    await _report(plane, ids)
                if operation is Operation.DESTROY:
                    for some in chunks(ids, _AT_ONCE):
                        await plane.decider.execute([c.DestroyDeployment(deployment_id=key) for key in some], "bench")
                rates[operation.value] = await rate_of(plane, operation, ids, settings)
            return rates


async def rate_of(plane: ControlPlane, operation: Operation, ids: Sequence[UUID], settings: Settings) -> float:
    """As the reconciler does: in batches, of which some are under way at a time."""
    limits = settings.reconciler
    slots = asyncio.Semaphore(limits.batches)

    async def run(some: Sequence[UUID]) -> None:
        async with slots:
            loaded = await plane.decider.load(some)
            await plane.reconciliation.run(operation, list(loaded.values()))

    begun = time.perf_counter()
    await asyncio.gather(*(run(some) for some in chunks(ids, limits.batch_size)))
    return len(ids) / (time.perf_counter() - begun)


def _creation(key: UUID) -> c.CreateDeployment:
    return creation(key).model_copy(update={"scaling_policy": _POLICY})


async def _report(plane: ControlPlane, ids: Sequence[UUID]) -> None:
    """Have all routes healthy, and a sample of each deployment there that changes nothing."""
    for some in chunks(ids, _AT_ONCE):
        states = (await plane.decider.load(some)).values()
        healthy = [
            c.ReportRoutes(
                deployment_id=state.id,
                reports=tuple(c.RouteReport(route_id=key, status=RouteStatus.HEALTHY) for key in state.routes),
            )
            for state in states
        ]
        await plane.decider.execute(healthy, "bench")
        now = utc_now()
        sample = MetricSample(source=MetricSource.KERNEL, metric=_RULE.metric, value=50.0, at=now)
        await plane.decider.take_samples(
            [SampleReport(deployment_id=state.id, received_at=now, samples=[sample]) for state in states]
        )
