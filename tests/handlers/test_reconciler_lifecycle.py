"""From command to READY to DESTROYED with the reference proxy, and the same after being cut off anywhere."""

from pathlib import Path

from domain import commands as c
from domain import events as e
from domain.routes import RouteStatus
from tests.executor_world import is_destroyed, is_ready, world_of


async def test_a_created_deployment_becomes_ready_and_a_destroyed_one_is_gone(tmp_path: Path) -> None:
    async with world_of(tmp_path, reconciler=True) as world:
        d1 = await world.create(replica_count=3)
        ready = await world.until(d1, is_ready)
        await world.report(d1, RouteStatus.HEALTHY)

        assert ready.active_count == 3
        assert ready.endpoint.url == world.proxy.circuits.all()[0].url

        await world.when(c.DestroyDeployment(deployment_id=d1))
        await world.idle()
        assert world.circuits() == []
        assert not is_destroyed(await world.state(d1)), "routes are still terminating"

        await world.end_terminating(d1)
        assert is_destroyed(await world.state(d1))
        assert [type(event) for event in await world.events(d1)] == [
            e.DeploymentCreated,
            e.TargetRevisionSet,
            e.EndpointRegistrationStarted,
            e.EndpointRegistered,
            e.ScaledOut,
            e.DeploymentReady,
            e.RouteStatusReported,
            e.DestructionRequested,
            e.RoutesTerminating,
            e.EndpointUnregistered,
            e.RouteStatusReported,
            e.DeploymentDestroyed,
        ]
