"""What the reconciler does when a proxy is missing, an override ends, routes are unhealthy, or samples arrive."""

from dataclasses import replace
from pathlib import Path

import pytest

from domain import commands as c
from domain import events as e
from domain.autoscaling.rules import ScalingPolicy
from domain.conditions import PROXY_TARGET_MISSING, ConditionStatus, ConditionType, conditions
from domain.deployment import Deployment, Lifecycle
from domain.limits import DecisionLimits
from domain.operations import Operation
from domain.routes import RouteStatus, TerminationReason
from tests.executor_world import QUEUE_RULE, is_destroyed, is_ready, world_of

RULED = ScalingPolicy(rules=(QUEUE_RULE,))


def misses_proxy(state: Deployment) -> bool:
    [status] = [each.status for each in conditions(state) if each.type is ConditionType.PROXY_TARGET_MISSING]
    return status is ConditionStatus.TRUE


# --- no proxy ------------------------------------------------------------------------------------------------------


async def test_a_deployment_without_proxy_says_so_and_goes_on_when_there_is_one(tmp_path: Path) -> None:
    async with world_of(tmp_path, reconciler=True) as world:
        d1 = await world.create(resource_group="sg2")
        await world.live(599)
        waiting = await world.state(d1)
        assert waiting.lifecycle is Lifecycle.PENDING
        assert misses_proxy(waiting)
        assert waiting.failures[Operation.CHECK_PENDING].attempts == 1
        assert not waiting.endpoint.may_exist

        world.targets["sg2"] = world.targets["sg1"]
        await world.live(1)
        assert is_ready(await world.state(d1))
        assert not misses_proxy(await world.state(d1))


async def test_an_endpoint_that_may_exist_keeps_a_deployment_without_proxy_from_being_destroyed(
    tmp_path: Path,
) -> None:
    async with world_of(tmp_path, reconciler=True) as world:
        d1 = await world.create(replica_count=0)
        await world.until(d1, is_ready)
        target = world.targets.pop("sg1")
        await world.when(c.DestroyDeployment(deployment_id=d1))
        await world.live(599)
        waiting = await world.state(d1)
        assert waiting.lifecycle is Lifecycle.DESTROYING
        assert misses_proxy(waiting)

        world.targets["sg1"] = target
        await world.live(1)
        assert is_destroyed(await world.state(d1))
        assert world.circuits() == []


async def test_a_proxy_that_comes_and_goes_during_a_destroy_is_not_taken_for_a_delete(tmp_path: Path) -> None:
    async with world_of(tmp_path, reconciler=True) as world:
        d1 = await world.create(replica_count=0)
        await world.until(d1, is_ready)
        target = world.targets.pop("sg1")
        destroy = world.plane.executor.destroy_deployment

        async def and_then_the_proxy_is_back(deployments: list[Deployment]) -> object:
            result = await destroy(deployments)
            world.targets["sg1"] = target
            return result

        world.plane.executor.destroy_deployment = and_then_the_proxy_is_back  # type: ignore[method-assign, assignment] # the moment
        await world.when(c.DestroyDeployment(deployment_id=d1))
        await world.idle()

        # Had the try without a proxy counted, the deployment would be gone and the circuit left.
        assert is_destroyed(await world.state(d1))
        assert world.circuits() == []


async def test_a_forced_destruction_abandons_an_endpoint_without_proxy(tmp_path: Path) -> None:
    async with world_of(tmp_path, reconciler=True) as world:
        d1 = await world.create(replica_count=2)
        await world.until(d1, is_ready)
        del world.targets["sg1"]
        await world.when(c.DestroyDeployment(deployment_id=d1))
        await world.idle()

        await world.when(c.DestroyDeployment(deployment_id=d1, force=True))
        await world.idle()

        assert is_destroyed(await world.state(d1))
        events = await world.events(d1)
        assert [type(event) for event in events[-2:]] == [e.EndpointAbandoned, e.DeploymentDestroyed]
        assert isinstance(events[-1], e.DeploymentDestroyed)
        assert events[-1].abandoned_routes == 2


async def test_a_forced_destruction_with_its_proxy_leaves_no_endpoint(tmp_path: Path) -> None:
    async with world_of(tmp_path, reconciler=True) as world:
        d1 = await world.create(replica_count=2)
        await world.until(d1, is_ready)

        await world.when(c.DestroyDeployment(deployment_id=d1, force=True))
        await world.idle()

        assert is_destroyed(await world.state(d1)), "nobody waits for the runtime"
        assert world.circuits() == []


async def test_what_was_never_registered_is_destroyed_without_asking_any_proxy(tmp_path: Path) -> None:
    async with world_of(tmp_path, reconciler=True) as world:
        d1 = await world.create(target_revision=None)

        await world.when(c.DestroyDeployment(deployment_id=d1))
        await world.idle()

        assert is_destroyed(await world.state(d1))
        assert world.proxy.calls.deletes == 0


# --- time passes ---------------------------------------------------------------------------------------------------


async def test_an_override_ends_at_its_time_and_the_number_set_by_hand_counts_again(tmp_path: Path) -> None:
    async with world_of(tmp_path, reconciler=True) as world:
        d1 = await world.create(replica_count=1)
        await world.until(d1, is_ready)
        until = world.clock.now.replace(hour=13)
        await world.when(c.OverrideReplicas(deployment_id=d1, replica_count=4, until=until))
        await world.live(3599)
        assert (await world.state(d1)).active_count == 4

        await world.live(1)
        assert (await world.state(d1)).active_count == 1
        assert is_ready(await world.state(d1))


async def test_a_route_that_stays_unhealthy_is_replaced(tmp_path: Path) -> None:
    limits = DecisionLimits(evict_unhealthy_after=300)
    async with world_of(tmp_path, reconciler=True, decisions=limits) as world:
        d1 = await world.create(replica_count=2)
        await world.until(d1, is_ready)
        sick, well = sorted((await world.state(d1)).routes)
        await world.report(d1, RouteStatus.HEALTHY, sick, well)
        await world.report(d1, RouteStatus.UNHEALTHY, sick)
        await world.live(299)
        assert {route.id for route in (await world.state(d1)).active_routes} == {sick, well}

        await world.live(1)
        active = {route.id for route in (await world.state(d1)).active_routes}
        assert len(active) == 2
        assert well in active
        assert sick not in active
        [evicted] = [event for event in await world.events(d1) if isinstance(event, e.RoutesTerminating)]
        assert (evicted.route_ids, evicted.reason) == ((sick,), TerminationReason.EVICTED)


# --- autoscaling ---------------------------------------------------------------------------------------------------


async def test_arriving_samples_scale_once_per_cooldown_up_to_the_bound(tmp_path: Path) -> None:
    async with world_of(tmp_path, reconciler=True) as world:
        d1 = await world.create(replica_count=1, scaling_policy=RULED)
        await world.until(d1, is_ready)

        for _ in range(300):
            await world.sample(d1, 1000)
            await world.live(10)

        events = [event for event in await world.events(d1) if isinstance(event, e.DesiredReplicasCalculated)]
        events = [event for event in events if event.decision.desired != event.decision.previous]
        assert [event.decision.desired for event in events] == [3, 5, 7, 8]
        times = [(event.at - events[0].at).total_seconds() for event in events]
        assert times == [0, 300, 600, 900]
        assert (await world.state(d1)).active_count == 8
        assert all(event.decision.evaluation is not None for event in events)


@pytest.mark.parametrize("value", [0, 10])
async def test_samples_that_no_rule_minds_change_nothing(tmp_path: Path, value: float) -> None:
    async with world_of(tmp_path, reconciler=True) as world:
        d1 = await world.create(replica_count=1, scaling_policy=RULED)
        await world.until(d1, is_ready)
        await world.idle()
        before, evaluated = await world.state(d1), world.watch.of(Operation.CALCULATE)

        await world.sample(d1, value)
        await world.idle()

        assert world.watch.of(Operation.CALCULATE) > evaluated
        assert (await world.state(d1)).replica_spec == before.replica_spec


async def test_samples_do_not_scale_against_an_override(tmp_path: Path) -> None:
    async with world_of(tmp_path, reconciler=True) as world:
        d1 = await world.create(replica_count=1, scaling_policy=RULED)
        await world.until(d1, is_ready)
        await world.when(c.OverrideReplicas(deployment_id=d1, replica_count=2))
        await world.sample(d1, 1000)
        await world.idle()

        assert (await world.state(d1)).active_count == 2
        assert not [event for event in await world.events(d1) if isinstance(event, e.DesiredReplicasCalculated)]


async def test_samples_of_what_is_being_destroyed_are_no_failure(tmp_path: Path) -> None:
    async with world_of(tmp_path, reconciler=True) as world:
        d1 = await world.create(replica_count=1, scaling_policy=RULED)
        await world.until(d1, is_ready)
        await world.idle()
        calculate = world.plane.repository.calculate_desired_replicas_for_deployment

        async def and_meanwhile_the_end_comes(*args: object) -> object:
            await world.when(c.DestroyDeployment(deployment_id=d1))
            return await calculate(*args)  # type: ignore[arg-type] # as it was called

        world.plane.repository.calculate_desired_replicas_for_deployment = and_meanwhile_the_end_comes  # type: ignore[method-assign, assignment] # the moment
        await world.sample(d1, 1000)
        await world.idle()
        await world.end_terminating(d1)

        assert is_destroyed(await world.state(d1))
        assert not [event for event in await world.events(d1) if isinstance(event, e.OperationFailed)]


async def test_what_waits_for_a_proxy_goes_on_as_soon_as_a_worker_knows_one(tmp_path: Path) -> None:
    async with world_of(tmp_path, reconciler=True) as world:
        target = world.targets.pop("sg1")
        d1 = await world.create(replica_count=0)
        await world.idle()
        assert (await world.state(d1)).failures[Operation.CHECK_PENDING].code == PROXY_TARGET_MISSING
        world.targets["sg1"] = target

        await world.restart()
        await world.idle()

        assert is_ready(await world.state(d1))


async def test_what_waits_for_a_proxy_goes_on_at_once_when_the_settings_name_one(tmp_path: Path) -> None:
    async with world_of(tmp_path, reconciler=True) as world:
        target = world.targets.pop("sg1")
        d1 = await world.create(replica_count=0)
        await world.idle()

        world.targets["sg1"] = target
        world.watch.looked_up.clear()
        world.plane.reconciler.look_again(["sg1"])
        await world.live(1)

        assert is_ready(await world.state(d1))


async def test_what_the_proxy_refused_for_good_is_tried_at_once_when_the_settings_change(tmp_path: Path) -> None:
    """A wrong token is corrected: nobody waits for the slow retry, and other groups are left alone."""
    async with world_of(tmp_path, reconciler=True) as world:
        right = world.targets["sg1"]
        world.targets |= dict.fromkeys(("sg1", "sg2"), replace(right, api_token="wrong"))
        mended = await world.create(replica_count=0)
        other = await world.create(2, replica_count=0, resource_group="sg2")
        await world.idle()
        before = [(await world.state(each)).failures[Operation.CHECK_PENDING].attempts for each in (mended, other)]

        await world.live(1)
        world.targets["sg1"] = right
        world.watch.looked_up.clear()
        world.plane.reconciler.look_again(["sg1"])
        await world.live(1)

        assert is_ready(await world.state(mended))
        assert before == [1, 1]
        assert (await world.state(other)).failures[Operation.CHECK_PENDING].attempts == 1
