"""From command to READY to DESTROYED with the reference proxy, and the same after being cut off anywhere."""

import asyncio
from pathlib import Path
from uuid import UUID

import pytest

from domain import commands as c
from domain import events as e
from domain.deployment import Lifecycle
from domain.routes import RouteStatus
from handlers.commit import Commit
from tests.executor_world import REVISION, World, is_destroyed, is_ready, world_of


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


async def test_a_deployment_that_waits_for_its_revision_goes_on_when_it_is_known(tmp_path: Path) -> None:
    async with world_of(tmp_path, reconciler=True) as world:
        d1 = await world.create(target_revision=None)
        await world.live(3600)
        assert world.watch.runs == []

        await world.when(c.SetTargetRevision(deployment_id=d1, revision=REVISION))

        assert is_ready(await world.until(d1, is_ready))


@pytest.mark.parametrize("replicas", [0, 1, 600])
async def test_a_count_that_matches_already_never_leaves_a_deployment_scaling(tmp_path: Path, replicas: int) -> None:
    async with world_of(tmp_path, reconciler=True) as world:
        d1 = await world.create(replica_count=replicas)

        assert (await world.until(d1, is_ready)).active_count == replicas


async def test_a_count_that_comes_to_match_by_itself_ends_the_scaling(tmp_path: Path) -> None:
    async with world_of(tmp_path, reconciler=True) as world:
        d1 = await world.create(replica_count=2)
        await world.until(d1, is_ready)
        for status in (RouteStatus.FAILED_TO_START, RouteStatus.FAILED_TO_START):
            await world.report(d1, status, (await world.state(d1)).active_routes[0].id)
        await world.idle()
        assert (await world.state(d1)).lifecycle is Lifecycle.SCALING, "new routes wait after failed starts"

        await world.when(c.SetReplicaCount(deployment_id=d1, replica_count=0))
        await world.idle()

        assert is_ready(await world.state(d1))


async def test_scaling_in_takes_the_victims_in_the_documented_order(tmp_path: Path) -> None:
    async with world_of(tmp_path, reconciler=True) as world:
        d1 = await world.create(replica_count=4)
        await world.until(d1, is_ready)
        older = sorted((await world.state(d1)).routes)
        await world.report(d1, RouteStatus.HEALTHY, *older)
        await world.advance(5)
        await world.when(c.SetReplicaCount(deployment_id=d1, replica_count=5))
        await world.idle()
        [newest] = set((await world.state(d1)).routes) - set(older)
        await world.report(d1, RouteStatus.HEALTHY, newest)
        await world.report(d1, RouteStatus.DEGRADED, older[3])

        left = [*older, newest]
        for victim in (older[3], newest, *older[:3]):
            await world.when(c.SetReplicaCount(deployment_id=d1, replica_count=len(left) - 1))
            await world.idle()
            left.remove(victim)
            assert {route.id for route in (await world.state(d1)).active_routes} == set(left)


@pytest.mark.parametrize("commits", range(1, 8))
async def test_a_worker_that_ends_after_any_commit_is_replaced_by_one_that_goes_on(
    tmp_path: Path, commits: int
) -> None:
    async with world_of(tmp_path, reconciler=True) as world:
        d1 = UUID(int=0)
        die = asyncio.Event()
        left = commits

        def die_after(_commit: Commit) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                die.set()

        world.plane.decider.listen(die_after)
        await world.create(replica_count=2)
        life = asyncio.create_task(live_and_die(world, d1))
        await die.wait()
        life.cancel()
        await world.restart()
        await live_and_die(world, d1)

        assert is_destroyed(await world.state(d1))
        assert world.circuits() == []
        made = [event for event in await world.events(d1) if isinstance(event, e.ScaledOut)]
        assert [len(event.route_ids) for event in made] == [2]


async def live_and_die(world: World, deployment_id: UUID) -> None:
    """Bring a created deployment to READY and then to its end, from wherever it is; registration is waited out."""

    async def act() -> bool:
        state = await world.state(deployment_id)
        if is_ready(state):
            await world.when(c.DestroyDeployment(deployment_id=deployment_id))
        elif state.lifecycle is Lifecycle.DESTROYING:
            await world.end_terminating(deployment_id)
        return (await world.state(deployment_id)).version != state.version

    await world.live(600, act)
