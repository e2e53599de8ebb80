"""Rules whose metric Prometheus knows: asked by whoever owns the deployment, and evaluated like any other."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

from adapters.prometheus import PrometheusQueries
from domain import commands as c
from domain.autoscaling.metric import MetricSource
from domain.autoscaling.rules import ScalingPolicy
from domain.autoscaling.samples import MetricSample
from domain.autoscaling.target_tracking import TargetTrackingRule, TargetType
from handlers.ports import SampleReport
from service.prometheus import metric_poller
from tests.adapters.prometheus_server import prometheus_server, scalar, success
from tests.executor_world import World, is_ready, world_of

POLICY = ScalingPolicy(
    rules=(
        TargetTrackingRule(
            name="load",
            source=MetricSource.PROMETHEUS,
            metric="load",
            query="sum(load)",
            target=10,
            target_type=TargetType.TOTAL_AVERAGE,
        ),
    ),
    max_replicas=20,
)


async def ruled(world: World, number: int) -> UUID:
    deployment_id = await world.create(number, scaling_policy=POLICY)
    await world.until(deployment_id, is_ready)
    await world.idle()
    return deployment_id


async def test_the_answer_to_a_query_scales_every_deployment_whose_rule_asks_it(tmp_path: Path) -> None:
    async with (
        prometheus_server(**{"sum(load)": success(scalar("40"))}) as server,
        world_of(tmp_path, reconciler=True) as world,
    ):
        first, second = await ruled(world, 2), await ruled(world, 4)
        assert world.plane.scaling.queries() == {"sum(load)": [(first, "load"), (second, "load")]}
        queries = PrometheusQueries(server.address)
        poller = metric_poller(world.settings.prometheus, queries, world.plane)
        polling = asyncio.create_task(poller.run())

        for key in (first, second):
            await world.until(key, lambda state: state.target_replica_count == 4)

        assert len(server.asked) == 1
        polling.cancel()
        await queries.close()


async def test_a_deployment_without_rules_or_that_is_gone_is_not_asked_for(tmp_path: Path) -> None:
    async with world_of(tmp_path, reconciler=True) as world:
        first, second = await ruled(world, 2), await ruled(world, 4)

        await world.when(c.SetScalingPolicy(deployment_id=first, policy=ScalingPolicy()))
        await world.when(c.DestroyDeployment(deployment_id=second))
        await world.idle()

        assert world.plane.scaling.queries() == {}


async def test_what_was_fetched_is_kept_only_of_routes_that_the_deployment_has(tmp_path: Path) -> None:
    async with world_of(tmp_path, reconciler=True) as world:
        deployment_id = await ruled(world, 2)
        [own] = (await world.state(deployment_id)).routes
        reports: list[Sequence[SampleReport]] = []
        world.plane.decider.listen(lambda commit: reports.append(commit.samples))

        about = {"source": MetricSource.PROMETHEUS, "metric": "load", "value": 1.0, "at": world.clock.now}
        samples = [MetricSample.model_validate({**about, "route_id": route_id}) for route_id in (own, UUID(int=99))]
        await world.plane.decider.take_samples(
            [SampleReport(deployment_id=deployment_id, received_at=world.clock.now, samples=samples)]
        )

        [[report]] = [some for some in reports if some]
        assert [sample.route_id for sample in report.samples] == [own]
