"""When work that failed, or changed nothing, is tried again; hours pass on the test's clock."""

from datetime import datetime
from itertools import pairwise
from pathlib import Path
from unittest.mock import patch
from uuid import UUID

import pytest

from domain import commands as c
from domain import events as e
from domain.autoscaling.rules import ScalingPolicy
from domain.deployment import Lifecycle
from domain.failures import FailureKind
from domain.operations import Operation
from domain.routes import RouteStatus
from handlers.backoff import Backoff
from handlers.ports import LogUnavailable
from handlers.proxy_calls import ProxyCallLimits
from handlers.reconciliation import RetryPolicy
from service.demo.reference_proxy_faults import Faults
from service.settings import ProxySettings
from tests.executor_world import QUEUE_RULE, World, is_destroyed, is_ready, world_of

#: Lets every call through, so that the backoff alone decides.
NO_BREAKER = ProxySettings(limits=ProxyCallLimits(failure_threshold=10_000))


async def failures(world: World, deployment_id: UUID) -> list[e.OperationFailed]:
    return [event for event in await world.events(deployment_id) if isinstance(event, e.OperationFailed)]


def gaps(moments: list[datetime]) -> list[float]:
    """Seconds from each moment to the next."""
    return [(later - earlier).total_seconds() for earlier, later in pairwise(moments)]


async def test_failures_are_tried_again_after_twice_the_time_up_to_a_cap(tmp_path: Path) -> None:
    retry = RetryPolicy(backoff=Backoff(base=1.0, cap=60.0, jitter=0.0))
    async with world_of(tmp_path, reconciler=True, proxy=NO_BREAKER, retry=retry) as world:
        world.proxy.faults.set(Faults(next_statuses=(503,) * 100))
        d1 = await world.create()
        await world.live(300)

        failed = await failures(world, d1)
        assert gaps([event.at for event in failed]) == [1, 2, 4, 8, 16, 32, 60, 60, 60]
        assert [event.attempts for event in failed] == list(range(1, 11))
        assert [event.next_attempt_at for event in failed[:-1]] == [event.at for event in failed[1:]]
        assert world.proxy.calls.creates == len(failed)

        world.proxy.faults.set(Faults())
        await world.live(60)
        assert is_ready(await world.state(d1))
        assert (await world.state(d1)).failures == {}


async def test_failures_that_happened_together_are_not_tried_again_together(tmp_path: Path) -> None:
    async with world_of(tmp_path, reconciler=True, proxy=NO_BREAKER, retry=RetryPolicy()) as world:
        world.proxy.faults.set(Faults(next_statuses=(503,) * 8))
        ids = [await world.create(2 * number) for number in range(8)]
        await world.idle()

        tries = [(await failures(world, key))[0] for key in ids]
        delays = [(event.next_attempt_at - event.at).total_seconds() for event in tries]
        assert all(0.8 <= delay <= 1.0 for delay in delays)
        assert len(set(delays)) > 1


async def test_the_backoff_goes_on_after_a_restart(tmp_path: Path) -> None:
    async with world_of(tmp_path, reconciler=True, proxy=NO_BREAKER) as world:
        world.proxy.faults.set(Faults(next_statuses=(503,) * 4))
        d1 = await world.create()
        await world.live(6)
        assert [event.attempts for event in await failures(world, d1)] == [1, 2, 3]

        await world.restart()
        await world.live(0.5)
        assert world.proxy.calls.creates == 3
        await world.live(0.5)
        assert [event.attempts for event in await failures(world, d1)] == [1, 2, 3, 4]
        await world.live(8)
        assert is_ready(await world.state(d1))


@pytest.mark.parametrize("status", [400, 401, 403, 409, 422, 307])
async def test_a_permanent_failure_is_not_tried_again_until_something_changes(tmp_path: Path, status: int) -> None:
    async with world_of(tmp_path, reconciler=True) as world:
        world.proxy.faults.set(Faults(next_statuses=(status, status)))
        d1 = await world.create()
        await world.live(599)
        [failure] = await failures(world, d1)
        assert failure.kind is FailureKind.PERMANENT
        assert world.proxy.calls.creates == 1

        await world.when(c.SetReplicaCount(deployment_id=d1, replica_count=2))
        await world.idle()
        assert world.proxy.calls.creates == 2, "what is asked of the deployment has changed"
        await world.live(599)
        assert world.proxy.calls.creates == 2
        await world.live(1)
        assert world.proxy.calls.creates == 3, "after ten minutes the settings may have changed"
        assert is_ready(await world.state(d1))


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503])
async def test_other_answers_are_tried_again_soon(tmp_path: Path, status: int) -> None:
    async with world_of(tmp_path, reconciler=True) as world:
        world.proxy.faults.set(Faults(next_statuses=(status,)))
        d1 = await world.create()
        await world.live(1)

        assert is_ready(await world.state(d1))


@pytest.mark.parametrize("status", [401, 500, 503, 307])
async def test_destroyed_comes_only_after_the_endpoint_is_really_gone(tmp_path: Path, status: int) -> None:
    async with world_of(tmp_path, reconciler=True, proxy=NO_BREAKER) as world:
        d1 = await world.create(replica_count=0)
        await world.until(d1, is_ready)
        world.proxy.faults.set(Faults(next_statuses=(status,) * 3))
        await world.when(c.DestroyDeployment(deployment_id=d1))

        while len(await failures(world, d1)) < 3:
            assert (await world.state(d1)).lifecycle is Lifecycle.DESTROYING
            assert world.circuits() == [d1]
            await world.live(600)
        await world.live(600)

        assert is_destroyed(await world.state(d1))
        assert world.circuits() == []


async def test_a_broken_image_makes_routes_at_a_bounded_rate(tmp_path: Path) -> None:
    async with world_of(tmp_path, reconciler=True) as world:
        d1 = await world.create(replica_count=1)

        async def runtime() -> bool:
            if not (await world.state(d1)).active_routes:
                return False
            await world.report(d1, RouteStatus.FAILED_TO_START)
            return True

        await world.live(3600, runtime)

        made = [event.at for event in await world.events(d1) if isinstance(event, e.ScaledOut)]
        assert gaps(made) == [1, 2, 4, 8, 16, 32, 64, 128, 256, *[300] * 10]
        assert len(world.watch.runs) <= 3 * len(made) + 2


async def test_a_repaired_image_is_scaled_out_without_further_delay(tmp_path: Path) -> None:
    async with world_of(tmp_path, reconciler=True) as world:
        d1 = await world.create(replica_count=2)
        await world.until(d1, is_ready)
        await world.report(d1, RouteStatus.FAILED_TO_START)
        await world.live(2)
        await world.report(d1, RouteStatus.HEALTHY)
        await world.live(120)
        gone = (await world.state(d1)).active_routes[0].id

        await world.report(d1, RouteStatus.TERMINATED, gone)
        await world.idle()

        assert (await world.state(d1)).active_count == 2
        assert (await world.state(d1)).start_failures == 0


# --- work that changes nothing -------------------------------------------------------------------------------------


async def test_work_that_changes_nothing_is_not_spun(tmp_path: Path) -> None:
    async with world_of(tmp_path, reconciler=True) as world:
        d1 = await world.create(replica_count=0)
        await world.until(d1, is_ready)
        with patch.object(world.plane.executor, "scale_deployment", side_effect=OSError("a defect")):
            await world.when(c.SetReplicaCount(deployment_id=d1, replica_count=1))
            await world.live(600)
        assert 10 <= world.watch.of(Operation.SCALE) <= 25
        world.watch.defects.clear()

        await world.live(60)
        assert is_ready(await world.state(d1))


async def test_samples_do_not_make_stuck_work_spin(tmp_path: Path) -> None:
    async with world_of(tmp_path, reconciler=True) as world:
        d1 = await world.create(scaling_policy=ScalingPolicy(rules=(QUEUE_RULE,)))
        await world.until(d1, is_ready)
        with patch.object(world.plane.executor, "scale_deployment", side_effect=OSError("a defect")):
            await world.when(c.SetReplicaCount(deployment_id=d1, replica_count=3))
            for _ in range(100):
                await world.sample(d1, 1)
                await world.live(1)
        assert 8 <= world.watch.of(Operation.SCALE) <= 15
        assert world.watch.of(Operation.CALCULATE) >= 90
        world.watch.defects.clear()

        await world.live(60)
        assert is_ready(await world.state(d1))


async def test_an_unavailable_log_is_asked_again_soon_who_is_due(tmp_path: Path) -> None:
    async with world_of(tmp_path, reconciler=True) as world:
        await world.idle()
        due_work = world.log.due_work
        asked = 0

        async def unavailable_once(**question: object) -> object:
            nonlocal asked
            asked += 1
            if asked == 1:
                raise LogUnavailable("not now")
            return await due_work(**question)  # type: ignore[arg-type] # what was asked

        with patch.object(world.log, "due_work", unavailable_once):
            world.watch.looked_up.clear()
            world.gain(0)
            await world.watch.looked_up.wait()
        assert asked == 2
