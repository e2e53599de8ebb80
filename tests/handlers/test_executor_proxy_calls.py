"""The executor's calls reach each proxy under its limit, its deadline and its breaker."""

import asyncio
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from domain import commands as c
from domain.failures import FailureKind
from handlers.deployment_repository import ScalingGroupProxyTarget
from handlers.executor import DeploymentExecutor
from handlers.proxy_calls import ProxyCallLimits
from service.demo.reference_proxy import ReferenceProxy
from service.demo.reference_proxy_faults import Faults, ProxyOperation
from service.settings import ProxySettings
from tests.executor_doubles import PROXY, TARGETS, URLS, RecordingDoubles, a_deployment
from tests.executor_world import TOKEN, World, world_of

HELD = Faults(delay_seconds=3600)


async def pending(world: World, *, groups: list[str]) -> list[Any]:
    ids = [await world.create(2 * number, resource_group=group) for number, group in enumerate(groups)]
    return [await world.state(key) for key in ids]


@pytest.mark.parametrize("concurrency", [1, 2, 5])
async def test_no_proxy_gets_more_calls_at_a_time_than_its_limit(tmp_path: Path, concurrency: int) -> None:
    proxy_settings = ProxySettings(limits=ProxyCallLimits(concurrency=concurrency))
    async with world_of(tmp_path, proxy=proxy_settings) as world, ReferenceProxy(TOKEN) as other:
        world.targets["sg2"] = ScalingGroupProxyTarget(other.address, TOKEN)
        deployments = await pending(world, groups=["sg1", "sg2"] * 8)
        world.proxy.faults.set(HELD)
        other.faults.set(HELD)

        run = asyncio.create_task(world.plane.executor.check_pending_deployments(deployments))
        for proxy in (world.proxy, other):
            await proxy.calls.until(lambda calls: calls.under_way == concurrency)
        for proxy in (world.proxy, other):
            proxy.faults.set(Faults())
        result = await run

        assert result.successes == deployments
        assert [proxy.calls.most_under_way for proxy in (world.proxy, other)] == [concurrency, concurrency]
        assert [proxy.calls.creates for proxy in (world.proxy, other)] == [8, 8]


async def test_destroys_and_creates_share_their_proxys_limit(tmp_path: Path) -> None:
    async with world_of(tmp_path) as world:
        deployments = await pending(world, groups=["sg1"] * 8)
        executor = world.plane.executor
        world.proxy.faults.set(HELD)

        run = asyncio.gather(
            executor.check_pending_deployments(deployments[:4]), executor.destroy_deployment(deployments[4:])
        )
        await world.proxy.calls.until(lambda calls: calls.under_way == 2)
        world.proxy.faults.set(Faults())
        await run

        assert world.proxy.calls.most_under_way == 2
        assert (world.proxy.calls.creates, world.proxy.calls.deletes) == (4, 4)


async def test_a_call_without_an_answer_ends_at_the_deadline_and_its_outcome_is_unknown(tmp_path: Path) -> None:
    async with world_of(tmp_path, proxy=ProxySettings(call_timeout_seconds=0.4)) as world:
        deployments = await pending(world, groups=["sg1"] * 3)
        world.proxy.faults.set(HELD)

        result = await world.plane.executor.check_pending_deployments(deployments)

        assert [error.deployment_info for error in result.errors] == deployments
        assert {(error.code, error.kind) for error in result.errors} == {("proxy-timed-out", FailureKind.UNKNOWN)}
        world.proxy.faults.set(Faults())


async def test_a_silent_proxy_does_not_keep_another_ones_deployments_from_success(tmp_path: Path) -> None:
    async with (
        world_of(tmp_path, proxy=ProxySettings(call_timeout_seconds=0.5)) as world,
        ReferenceProxy(TOKEN) as silent,
    ):
        world.targets["sg2"] = ScalingGroupProxyTarget(silent.address, TOKEN)
        silent.faults.set(HELD)
        deployments = await pending(world, groups=["sg2", "sg1", "sg2", "sg1"])

        result = await world.plane.executor.check_pending_deployments(deployments)

        assert [d.resource_group for d in result.successes] == ["sg1", "sg1"]
        assert [error.deployment_info.resource_group for error in result.errors] == ["sg2", "sg2"]
        silent.faults.set(Faults())


async def test_a_proxy_that_keeps_failing_is_left_alone_until_its_pause_is_over(tmp_path: Path) -> None:
    limits = ProxyCallLimits(concurrency=1, failure_threshold=3, open_seconds=15)
    async with world_of(tmp_path, proxy=ProxySettings(limits=limits)) as world:
        deployments = await pending(world, groups=["sg1"] * 8)
        world.proxy.faults.set(Faults(next_statuses=(500,) * 3))

        result = await world.plane.executor.check_pending_deployments(deployments)

        assert [error.code for error in result.errors] == ["proxy-failed"] * 3 + ["circuit-open"] * 5
        assert {error.kind for error in result.errors[3:]} == {FailureKind.TRANSIENT}
        assert world.proxy.calls.creates == 3

        world.clock.now = world.clock.now.replace(second=15)
        assert (await world.plane.executor.check_pending_deployments(deployments[:1])).successes == deployments[:1]
        assert (await world.plane.executor.check_pending_deployments(deployments)).successes == deployments


@pytest.mark.parametrize("seconds", [0.5, 45])
async def test_the_deadline_that_is_set_is_the_deadline_of_the_call_itself(seconds: float) -> None:
    doubles, d1 = RecordingDoubles(), a_deployment(1)
    executor = DeploymentExecutor(doubles.repository, doubles.session, proxy_timeout_seconds=seconds)
    doubles.answers(TARGETS, {"sg1": PROXY})
    doubles.answers(URLS, None)
    doubles.creates(d1, "https://endpoint1.example.com")

    assert (await executor.check_pending_deployments([d1])).successes == [d1]

    assert doubles.session.timeouts == {seconds}


async def test_more_deployments_than_may_wait_for_a_proxy_are_all_served_with_few_tasks() -> None:
    doubles = RecordingDoubles()
    executor = DeploymentExecutor(doubles.repository, doubles.session, calls_at_once=50)
    deployments = [a_deployment(number) for number in range(1, ProxyCallLimits().max_waiting + 500)]
    most_tasks = 0

    def count_tasks(*_: object) -> None:
        nonlocal most_tasks
        most_tasks = max(most_tasks, len(asyncio.all_tasks()))

    class CountingOutcomes(dict[tuple[str, UUID], object]):
        def __getitem__(self, key: tuple[str, UUID]) -> object:
            count_tasks()
            return {"endpoint": f"http://worker/{key[1]}"}

    doubles.session.outcomes = CountingOutcomes()
    doubles.answers(TARGETS, {"sg1": PROXY})
    doubles.answers(URLS, None)

    result = await executor.check_pending_deployments(deployments)

    assert result.successes == deployments
    assert most_tasks <= 50 + 1


# --- what a delete's answer means ----------------------------------------------------------------------------------

DELETES = frozenset({ProxyOperation.DELETE})


async def registered(world: World) -> Any:  # noqa: ANN401 - a deployment
    d1 = await world.with_routes(active=1)
    await world.when(c.DestroyDeployment(deployment_id=d1))
    return await world.state(d1)


@pytest.mark.parametrize(
    ("faults", "code", "kind"),
    [
        (Faults(next_statuses=(500,)), "proxy-failed", FailureKind.UNKNOWN),
        (Faults(next_statuses=(503,)), "proxy-busy", FailureKind.TRANSIENT),
        (Faults(next_statuses=(401,)), "request-rejected", FailureKind.PERMANENT),
        (Faults(next_statuses=(409,)), "request-rejected", FailureKind.PERMANENT),
        (Faults(next_statuses=(429,)), "proxy-busy", FailureKind.TRANSIENT),
        (Faults(next_statuses=(307,)), "proxy-redirected", FailureKind.PERMANENT),
        # A delete is sent a second time by itself where a connection breaks that was used before.
        (Faults(resets_before_effect=2), "connection-broken", FailureKind.UNKNOWN),
    ],
)
async def test_a_delete_that_is_not_confirmed_is_an_error(
    tmp_path: Path, faults: Faults, code: str, kind: FailureKind
) -> None:
    async with world_of(tmp_path) as world:
        d1 = await registered(world)
        world.proxy.faults.set(faults.model_copy(update={"operations": DELETES}))

        result = await world.plane.executor.destroy_deployment([d1])

        assert result.successes == result.skipped == []
        assert [(error.reason, error.code, error.kind) for error in result.errors] == [
            ("Failed to unregister endpoint", code, kind)
        ]
        assert world.circuits() == [d1.id]

        assert (await world.plane.executor.destroy_deployment([d1])).successes == [d1]
        assert world.circuits() == []


async def test_a_delete_of_what_is_gone_already_is_a_success(tmp_path: Path) -> None:
    async with world_of(tmp_path) as world:
        d1 = await registered(world)
        world.proxy.circuits.clear()

        assert (await world.plane.executor.destroy_deployment([d1])).successes == [d1]
        assert world.proxy.calls.deletes == 1
