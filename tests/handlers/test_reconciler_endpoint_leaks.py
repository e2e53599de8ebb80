"""No endpoint is made twice, and none is left behind, whatever becomes of a create call or of its answer."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from unittest.mock import patch
from uuid import UUID

import pytest

from domain import commands as c
from domain import events as e
from domain.deployment import Deployment
from domain.operations import Operation
from handlers.proxy_calls import ProxyCallLimits
from service.demo.reference_proxy_faults import Faults, WorkerState
from service.settings import ProxySettings
from tests.executor_world import World, is_destroyed, is_ready, world_of

#: A create call is announced to begin within ten seconds and is over 1.4 seconds later, its echo after ten more.
HASTY = ProxySettings(call_timeout_seconds=0.4, settle_seconds=10, limits=ProxyCallLimits(slot_wait_seconds=1))
SETTLED = 10 + 1.4 + 10
SILENT = Faults(worker=WorkerState.SILENT)


async def gone(world: World, deployment_id: UUID) -> Deployment:
    """Let the clock run until the deployment is destroyed."""

    async def end_routes() -> bool:
        before = world.watch.committed
        await world.end_terminating(deployment_id)
        return before is not world.watch.committed

    await world.live(3600, end_routes)
    return await world.state(deployment_id)


async def test_a_create_whose_url_could_not_be_stored_is_adopted_by_the_next_try(tmp_path: Path) -> None:
    async with world_of(tmp_path, reconciler=True) as world:

        async def full(_urls: Mapping[UUID, str]) -> None:
            raise OSError("no space left on device")

        with patch.object(world.plane.repository, "update_endpoint_urls_bulk", full):
            d1 = await world.create()
            await world.idle()
        [circuit] = world.proxy.circuits.all()
        failure = (await world.state(d1)).failures[Operation.CHECK_PENDING]
        assert failure.reason == "no space left on device"

        await world.live(10)

        assert is_ready(await world.state(d1))
        assert (await world.state(d1)).endpoint.url == circuit.url
        assert world.proxy.circuits.all() == [circuit]


@pytest.mark.parametrize(
    "faults", [Faults(errors_after_effect=1), Faults(resets_after_effect=1), Faults(garbage_answers=1)]
)
async def test_a_create_without_a_proper_answer_is_adopted_by_the_next_try(tmp_path: Path, faults: Faults) -> None:
    async with world_of(tmp_path, reconciler=True) as world:
        world.proxy.faults.set(faults)
        d1 = await world.create()
        await world.idle()
        [circuit] = world.proxy.circuits.all()
        assert not is_ready(await world.state(d1))

        await world.live(10)

        assert is_ready(await world.state(d1))
        assert world.proxy.circuits.all() == [circuit]
        await world.when(c.DestroyDeployment(deployment_id=d1))
        assert is_destroyed(await gone(world, d1))
        assert world.circuits() == []


async def test_a_create_that_lands_after_its_client_gave_up_is_adopted(tmp_path: Path) -> None:
    async with world_of(tmp_path, reconciler=True, proxy=HASTY) as world:
        world.proxy.faults.set(SILENT)
        d1 = await world.create()
        await world.idle()
        assert (await world.state(d1)).failures[Operation.CHECK_PENDING].code == "proxy-timed-out"
        assert world.circuits() == []

        world.proxy.faults.set(Faults())
        await world.proxy.calls.until(lambda calls: calls.under_way == 0)
        assert world.circuits() == [d1], "the call lands although nobody waits for it"
        await world.live(10)

        assert is_ready(await world.state(d1))
        assert world.circuits() == [d1]


async def test_a_create_that_lands_after_a_destroy_leaks_no_endpoint(tmp_path: Path) -> None:
    async with world_of(tmp_path, reconciler=True, proxy=HASTY) as world:
        world.proxy.faults.set(SILENT)
        d1 = await world.create()
        await world.idle()
        await world.when(c.DestroyDeployment(deployment_id=d1))
        await world.idle()
        assert world.proxy.calls.deletes == 1, "an early delete is tried, but not believed"
        assert (await world.state(d1)).failures[Operation.DESTROY].code == "unsettled"

        world.proxy.faults.set(Faults())
        await world.proxy.calls.until(lambda calls: calls.under_way == 0)
        assert world.circuits() == [d1]
        await world.advance(SETTLED - 1)
        assert not is_destroyed(await world.state(d1))
        await world.advance(1)

        assert is_destroyed(await world.state(d1))
        assert world.circuits() == []
        assert world.proxy.calls.deletes == 2


async def test_an_earlier_create_that_lands_after_the_adopted_one_was_destroyed_leaks_no_endpoint(
    tmp_path: Path,
) -> None:
    async with world_of(tmp_path, reconciler=True, proxy=HASTY) as world:
        world.proxy.faults.set(SILENT)
        d1 = await world.create(replica_count=0)
        await world.idle()
        held = world.proxy.faults._changed
        world.proxy.faults._changed = asyncio.Event()  # keeps the first call waiting when the faults are changed
        world.proxy.faults.set(Faults())
        await world.advance(1)
        assert is_ready(await world.state(d1)), "the second call succeeded while the first still hangs"

        await world.when(c.DestroyDeployment(deployment_id=d1))
        await world.idle()
        assert world.circuits() == []
        held.set()
        await world.proxy.calls.until(lambda calls: calls.under_way == 0)
        assert world.circuits() == [d1]

        await world.advance(SETTLED)
        assert is_destroyed(await world.state(d1))
        assert world.circuits() == []


async def test_a_create_cut_off_by_a_crash_is_waited_out_and_adopted(tmp_path: Path) -> None:
    async with world_of(tmp_path, reconciler=True, proxy=HASTY) as world:
        world.proxy.faults.set(SILENT)
        d1 = await world.create()
        await world.proxy.calls.until(lambda calls: calls.under_way == 1)
        await world.restart()
        await world.idle()
        started = (await world.state(d1)).endpoint.registration
        assert started is not None
        assert world.proxy.calls.creates == 1, "whoever made the call may still report its answer"

        world.proxy.faults.set(Faults())
        await world.proxy.calls.until(lambda calls: calls.under_way == 0)
        await world.live((started.deadline - world.clock.now).total_seconds())

        assert is_ready(await world.state(d1))
        assert world.circuits() == [d1]


async def test_an_announcement_that_took_too_long_to_commit_is_not_followed_by_a_call(tmp_path: Path) -> None:
    async with world_of(tmp_path, reconciler=True) as world:
        append = world.log.append

        async def slow(batch: object) -> object:
            if any(isinstance(r.event, e.EndpointRegistrationStarted) for r in batch.events):  # type: ignore[attr-defined] # a log batch
                world.clock.now = world.clock.now.replace(minute=1)
            return await append(batch)  # type: ignore[arg-type] # a log batch

        with patch.object(world.log, "append", slow):
            d1 = await world.create()
            await world.idle()
        assert world.proxy.calls.creates == 0
        assert (await world.state(d1)).failures[Operation.CHECK_PENDING].code == "announced-too-late"

        await world.live(10)
        assert is_ready(await world.state(d1))


async def test_a_proxy_that_lost_its_database_is_repaired_with_the_same_url(tmp_path: Path) -> None:
    async with world_of(tmp_path, reconciler=True) as world:
        d1 = await world.create()
        url = (await world.until(d1, is_ready)).endpoint.url
        world.proxy.circuits.clear()

        await world.live(2 * 3600)

        assert [circuit.url for circuit in world.proxy.circuits.all()] == [url]


async def test_an_endpoint_whose_port_was_given_away_gets_another_url(tmp_path: Path) -> None:
    async with world_of(tmp_path, reconciler=True) as world:
        d1 = await world.create(2)
        await world.until(d1, is_ready)
        world.proxy.circuits.clear()
        d2 = await world.create(4)
        taken = (await world.until(d2, is_ready)).endpoint.url
        assert taken == (await world.state(d1)).endpoint.url

        await world.live(2 * 3600)

        assert sorted(world.circuits()) == [d1, d2]
        assert (await world.state(d1)).endpoint.url not in {None, taken}
        assert Operation.CHECK_PENDING not in (await world.state(d1)).failures
