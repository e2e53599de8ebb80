"""One deployment with very many routes: scaling out, a report of each route, and scaling to none, until all is visible.

Each step is decided, committed to PostgreSQL and folded into all views, by the parts of a worker as they are.
"""

import time
from collections.abc import Sequence
from contextlib import closing
from uuid import UUID

from bench.executor_bench import InstantPool
from bench.load import creation, new_ids
from bench.planes import deciding, plane_over
from bench.reconcile import TARGETS
from bench.surroundings import BATCH, Surroundings, in_database
from domain import commands as c
from domain.chunks import chunks
from domain.operations import Operation
from domain.routes import RouteStatus
from projections.catalogue import VIEWS
from projections.runner import ProjectionRunner
from service.bootstrap import ControlPlane
from service.stores import stores_of


async def seconds_for_routes(site: Surroundings, routes: int) -> dict[str, float]:
    """Seconds for each step, and for its views, with so many routes (count)."""
    settings, _ = site.new_group(await site.new_topics())
    settings = in_database(settings, site.new_database())
    stores = stores_of(settings)
    engine = stores.open_views()
    try:
        with closing(stores.open_log()) as log:
            plane = plane_over(settings, log, client_pool=InstantPool(), proxy_targets=TARGETS)
            runner = ProjectionRunner(engine, VIEWS, log, cached_rows=settings.projections.cached_rows)
            async with deciding(plane, settings):
                return await _steps(plane, runner, routes)
    finally:
        engine.dispose()


async def _steps(plane: ControlPlane, runner: ProjectionRunner, routes: int) -> dict[str, float]:
    [key] = new_ids(1)
    await plane.decider.execute([creation(key).model_copy(update={"replica_count": routes})], "bench")
    await _run(plane, Operation.CHECK_PENDING, key)
    await runner.catch_up()
    taken = {}

    async def step(name: str, seconds: float) -> None:
        begun = time.perf_counter()
        await runner.catch_up()
        taken[name], taken[f"{name}, views"] = seconds, time.perf_counter() - begun

    await step("scale out", await _run(plane, Operation.SCALE, key))
    await step("report", await _report(plane, key, RouteStatus.HEALTHY))
    await step("reports of one route each", await _report(plane, key, RouteStatus.UNHEALTHY, at_once=1))
    await plane.decider.execute([c.SetReplicaCount(deployment_id=key, replica_count=0)], "bench")
    await step("scale to 0", await _run(plane, Operation.SCALE, key))
    await step("all gone", await _report(plane, key, RouteStatus.TERMINATED))
    return {name: round(seconds, 3) for name, seconds in taken.items()}


async def _run(plane: ControlPlane, operation: Operation, key: UUID) -> float:
    """Do the operation until nothing is left to do: one command adds no more than so many routes."""
    begun = time.perf_counter()
    version = 0
    while (state := (await plane.decider.load([key]))[key]).version > version:
        version = state.version
        await plane.reconciliation.run(operation, [state])
        if operation is not Operation.SCALE:
            break
    return time.perf_counter() - begun


async def _report(
    plane: ControlPlane, key: UUID, status: RouteStatus, *, at_once: int = c.MAX_ROUTES_PER_MESSAGE
) -> float:
    state = (await plane.decider.load([key]))[key]
    reports = [_message(key, some, status) for some in chunks(list(state.routes), at_once)]
    begun = time.perf_counter()
    for some in chunks(reports, BATCH):
        await plane.decider.execute(some, "bench")
    return time.perf_counter() - begun


def _message(key: UUID, routes: Sequence[UUID], status: RouteStatus) -> c.ReportRoutes:
    return c.ReportRoutes(
        deployment_id=key, reports=tuple(c.RouteReport(route_id=each, status=status) for each in routes)
    )
