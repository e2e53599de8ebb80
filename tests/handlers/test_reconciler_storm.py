"""After any storm of faults, crashes and changes of mind, everything is as was asked for and nothing is left over."""

import asyncio
from pathlib import Path
from random import Random
from uuid import UUID

import pytest

from domain import commands as c
from domain.deployment import Lifecycle
from domain.routes import RouteStatus
from handlers.proxy_calls import ProxyCallLimits
from service.demo.reference_proxy_faults import Faults, WorkerState
from service.settings import ProxySettings
from tests.executor_world import World, is_destroyed, is_ready, world_of

HASTY = ProxySettings(call_timeout_seconds=0.05, settle_seconds=30, limits=ProxyCallLimits(slot_wait_seconds=1))

WEATHER = [
    Faults(),
    Faults(worker=WorkerState.SILENT),
    Faults(worker=WorkerState.LOST),
    Faults(next_statuses=(500, 503, 429)),
    Faults(resets_before_effect=2),
    Faults(resets_after_effect=2),
    Faults(errors_after_effect=2),
    Faults(garbage_answers=2),
]


class Storm:
    """Deployments that are pushed around at random; ``wanted`` holds those that are not to be destroyed."""

    def __init__(self, world: World, random: Random) -> None:
        self.world = world
        self.random = random
        self.wanted: dict[UUID, int] = {}
        self.all: list[UUID] = []

    async def blow(self) -> None:
        """One thing happens."""
        often = [self._create, self._count, self._weather, self._time]
        what = self.random.choice([*often, *often, self._destroy, self._runtime, self._crash, self._revoke])
        await what()
        if self.random.random() < 0.5:
            await self.world.idle()

    async def clear_up(self) -> None:
        """The weather turns fair; calls that hang take effect."""
        self.world.proxy.faults.set(Faults())
        await self.world.proxy.calls.until(lambda calls: calls.under_way == 0)

    async def _create(self) -> None:
        replicas = self.random.randrange(4)
        key = await self.world.create(2 * len(self.all), replica_count=replicas)
        self.all.append(key)
        self.wanted[key] = replicas

    async def _count(self) -> None:
        if self.wanted:
            key, count = self.random.choice(list(self.wanted)), self.random.randrange(4)
            await self.world.when(c.SetReplicaCount(deployment_id=key, replica_count=count))
            self.wanted[key] = count

    async def _destroy(self) -> None:
        if self.wanted:
            key = self.random.choice(list(self.wanted))
            await self.world.when(c.DestroyDeployment(deployment_id=key))
            del self.wanted[key]

    async def _weather(self) -> None:
        self.world.proxy.faults.set(self.random.choice(WEATHER))

    async def _time(self) -> None:
        # A proxy acts on a call before the settle time is over, or never.
        if self.world.proxy.faults.faults.worker is WorkerState.SILENT:
            await self.clear_up()
        await self.world.live(self.random.choice([1, 5, 60]))

    async def _runtime(self) -> None:
        for key in self.all:
            await self.run(key, fails=self.random.random() < 0.2)

    async def run(self, key: UUID, *, fails: bool = False) -> bool:
        """Be the runtime for one deployment; says whether there was anything to do."""
        version = (await self.world.state(key)).version
        await self.world.end_terminating(key)
        routes = (await self.world.state(key)).active_routes
        fresh = [route.id for route in routes if route.status is RouteStatus.PROVISIONING]
        if fresh:
            await self.world.report(key, RouteStatus.FAILED_TO_START if fails else RouteStatus.HEALTHY, *fresh)
        return (await self.world.state(key)).version != version

    async def _crash(self) -> None:
        await self.world.restart()

    async def _revoke(self) -> None:
        self.world.lose(0)
        await asyncio.sleep(0)
        self.world.gain(0)

    async def run_all(self) -> bool:
        """Be the runtime for all."""
        return any([await self.run(key) for key in self.all])


@pytest.mark.parametrize("seed", range(8))
async def test_after_any_storm_all_is_as_asked_for_and_nothing_is_left_over(tmp_path: Path, seed: int) -> None:
    async with world_of(tmp_path, reconciler=True, proxy=HASTY) as world:
        storm = Storm(world, Random(seed))
        for _ in range(40):
            await storm.blow()
        await storm.clear_up()
        await world.live(3600, storm.run_all)

        for key in storm.all:
            state = await world.state(key)
            assert is_ready(state) if key in storm.wanted else is_destroyed(state)
            assert state.active_count == storm.wanted.get(key, 0)
        assert sorted(world.circuits()) == sorted(storm.wanted)
        urls = {circuit.endpoint_id: circuit.url for circuit in world.proxy.circuits.all()}
        assert urls == {key: (await world.state(key)).endpoint.url for key in storm.wanted}

        await world.when(*[c.DestroyDeployment(deployment_id=key) for key in storm.wanted])
        await world.live(3600, storm.run_all)
        assert {(await world.state(key)).lifecycle for key in storm.all} <= {Lifecycle.DESTROYED}
        assert world.circuits() == []
