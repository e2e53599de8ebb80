"""The executor's repository over the event log: what is read was committed, what is written was decided."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from unittest.mock import patch
from uuid import UUID

import pytest

from adapters.event_store.repository import EventSourcedDeploymentRepository
from domain import commands as c
from domain import events as e
from domain.autoscaling.decision import DecisionReason
from domain.autoscaling.rules import ScalingPolicy
from domain.errors import CommandRejected, RejectionCode
from domain.recorded import OperationCause
from domain.routes import RouteStatus
from handlers.deployment_repository import BatchUpdater, BulkOperationFailed, RouteCreator, RouteData
from handlers.ports import LogUnavailable
from tests.executor_world import QUEUE_RULE, REVISION, World, world_of

RULED = ScalingPolicy(rules=(QUEUE_RULE,))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with world_of(tmp_path) as made:
        yield made


@pytest.fixture
def repository(world: World) -> EventSourcedDeploymentRepository:
    return world.plane.repository


def creator(deployment_id: UUID, *, revision_id: UUID = REVISION.revision_id) -> RouteCreator:
    return RouteCreator(
        endpoint_id=deployment_id,
        revision_id=revision_id,
        session_owner=UUID(int=3),
        domain="default",
        project=UUID(int=2),
    )


def codes(caught: pytest.ExceptionInfo[BulkOperationFailed]) -> dict[UUID, RejectionCode]:
    """Why each part failed."""
    failures = caught.value.failures
    return {key: error.code for key, error in failures.items() if isinstance(error, CommandRejected)}


# --- proxies and endpoints -----------------------------------------------------------------------------------------


async def test_a_group_without_proxy_has_none(world: World, repository: EventSourcedDeploymentRepository) -> None:
    targets = await repository.fetch_scaling_group_proxy_targets({"sg1", "sg2"})

    assert targets == {"sg1": world.targets["sg1"], "sg2": None}


async def test_urls_are_stored_with_their_cause_and_what_cannot_be_stored_is_named(
    world: World, repository: EventSourcedDeploymentRepository
) -> None:
    d1, unknown = await world.create(), UUID(int=99)

    with pytest.raises(BulkOperationFailed, match="1 parts of a bulk operation failed") as caught:
        await repository.update_endpoint_urls_bulk({d1: "http://worker/1", unknown: "http://worker/2"})

    assert codes(caught) == {unknown: RejectionCode.UNKNOWN_DEPLOYMENT}
    last = (await world.log.stream(d1))[-1].recorded
    assert last.event == e.EndpointRegistered(at=world.clock.now, url="http://worker/1")
    assert last.cause == OperationCause(operation="check_pending_deployments")


# --- routes --------------------------------------------------------------------------------------------------------


async def test_active_routes_are_read_and_terminating_ones_are_not(
    world: World, repository: EventSourcedDeploymentRepository
) -> None:
    d1, unknown = await world.with_routes(active=3, target=2), UUID(int=99)
    first, *rest = sorted((await world.state(d1)).routes)
    await world.when(c.TerminateRoutes(deployment_id=d1, route_ids=frozenset({first})))

    routes = await repository.fetch_active_routes_by_endpoint_ids({d1, unknown})

    assert routes.keys() == {d1}
    assert sorted(route.id for route in routes[d1]) == rest


async def test_many_creators_of_a_deployment_become_one_decision(
    world: World, repository: EventSourcedDeploymentRepository
) -> None:
    d1, d2 = await world.with_routes(2, active=0, target=3), await world.with_routes(4, active=0, target=1)

    await repository.scale_routes([creator(d1), creator(d2), creator(d1), creator(d1)], None)

    [made] = [event for event in await world.events(d1) if isinstance(event, e.ScaledOut)]
    assert len(made.route_ids) == 3
    assert (await world.state(d2)).active_count == 1


async def test_routes_are_made_and_taken_away_in_one_call_each_for_its_own_deployment(
    world: World, repository: EventSourcedDeploymentRepository
) -> None:
    out, into = await world.with_routes(2, active=0, target=1), await world.with_routes(4, active=2, target=1)
    routes = await repository.fetch_active_routes_by_endpoint_ids({out, into})
    victim = routes[into][0].id

    await repository.scale_routes([creator(out)], BatchUpdater(route_ids=frozenset({victim})))

    assert (await world.state(out)).active_count == 1
    assert (await world.state(into)).routes[victim].status is RouteStatus.TERMINATING
    assert (await world.state(into)).active_count == 1


async def test_what_is_no_longer_wanted_is_rejected_as_changed_and_the_neighbour_is_scaled(
    world: World, repository: EventSourcedDeploymentRepository
) -> None:
    d1, d2 = await world.with_routes(2, active=0, target=1), await world.with_routes(4, active=0, target=1)
    await world.when(c.SetReplicaCount(deployment_id=d1, replica_count=0))

    with pytest.raises(BulkOperationFailed) as caught:
        await repository.scale_routes([creator(d1), creator(d2)], None)

    assert codes(caught) == {d1: RejectionCode.CHANGED_MEANWHILE}
    assert (await world.state(d2)).active_count == 1


async def test_a_route_that_nobody_has_is_refused_and_nothing_is_done(
    world: World, repository: EventSourcedDeploymentRepository
) -> None:
    d1 = await world.with_routes(active=1, target=0)
    before = await world.state(d1)
    victims = {*before.routes, UUID(int=99)}

    with pytest.raises(CommandRejected, match="there is no route"):
        await repository.mark_terminating_route_status_bulk(victims)

    assert await world.state(d1) == before


async def test_after_a_refused_call_the_owners_of_the_other_routes_are_still_known(
    world: World, repository: EventSourcedDeploymentRepository
) -> None:
    d1 = await world.with_routes(active=1, target=0)
    [route] = (await repository.fetch_active_routes_by_endpoint_ids({d1}))[d1]
    world.plane.decider.forget()
    with pytest.raises(CommandRejected):
        await repository.mark_terminating_route_status_bulk([route.id, UUID(int=99)])

    await repository.mark_terminating_route_status_bulk([route.id])

    assert (await world.state(d1)).active_count == 0


async def test_routes_that_were_fetched_longest_ago_are_forgotten_first(world: World) -> None:
    small = EventSourcedDeploymentRepository(
        world.plane.decider,
        world.targets,
        world.plane.repository._scaling,
        clock=world.clock,
        decision_limits=world.settings.decisions,
        remembered_routes=3,
    )
    ids = [await world.with_routes(2 * number, active=2, target=0) for number in range(4)]
    routes: dict[UUID, Sequence[RouteData]] = {}
    for key in ids:
        routes |= await small.fetch_active_routes_by_endpoint_ids({key})
    world.plane.decider.forget()

    with pytest.raises(CommandRejected):
        await small.mark_terminating_route_status_bulk([routes[ids[0]][0].id])
    await small.mark_terminating_route_status_bulk([route.id for key in ids[2:] for route in routes[key]])

    assert [(await world.state(key)).active_count for key in ids] == [2, 2, 0, 0]
    assert len(small._route_owners) <= 3 + 2


# --- autoscaling ---------------------------------------------------------------------------------------------------


async def decided(repository: EventSourcedDeploymentRepository, world: World, deployment_id: UUID) -> int | None:
    """Go through the calculation as the executor does, up to the number."""
    state = await world.state(deployment_id)
    rules = await repository.fetch_auto_scaling_rules_by_endpoint_ids({deployment_id})
    metrics = await repository.fetch_metrics_for_autoscaling([state], rules)
    return await repository.calculate_desired_replicas_for_deployment(state, rules[deployment_id], metrics)


async def calculated(world: World, deployment_id: UUID) -> Sequence[e.DesiredReplicasCalculated]:
    events = await world.events(deployment_id)
    return [event for event in events if isinstance(event, e.DesiredReplicasCalculated)]


async def test_rules_come_in_their_order_and_samples_only_where_there_are_rules(
    world: World, repository: EventSourcedDeploymentRepository
) -> None:
    second = QUEUE_RULE.model_copy(update={"name": "second"})
    ruled = await world.with_routes(2, active=1, scaling_policy=ScalingPolicy(rules=(second, QUEUE_RULE)))
    plain = await world.with_routes(4, active=1)
    for key in (ruled, plain):
        await world.sample(key, 5)
    states = [await world.state(ruled), await world.state(plain)]

    rules = await repository.fetch_auto_scaling_rules_by_endpoint_ids({ruled, plain})
    metrics = await repository.fetch_metrics_for_autoscaling(states, rules)

    assert rules == {ruled: (second, QUEUE_RULE), plain: ()}
    assert {key: len(routes) for key, routes in metrics.routes_by_endpoint.items()} == {ruled: 1, plain: 1}
    assert metrics.samples_by_endpoint.keys() == {ruled}
    [window] = metrics.samples_by_endpoint[ruled].of(QUEUE_RULE.source, QUEUE_RULE.metric).values()
    assert window.values == (5,)


async def test_a_stored_number_carries_the_arithmetic_that_led_to_it(
    world: World, repository: EventSourcedDeploymentRepository
) -> None:
    d1 = await world.with_routes(active=2, scaling_policy=RULED)
    await world.sample(d1, 50)

    assert await decided(repository, world, d1) == 4
    await repository.update_desired_replicas_bulk({d1: 4})

    [event] = await calculated(world, d1)
    assert event.decision.evaluation is not None
    assert (event.decision.evaluation.metric, event.decision.evaluation.rule) == (25, "queue-long")
    assert repository._evaluations == {}


async def test_the_arithmetic_is_kept_when_storing_has_to_be_tried_again(
    world: World, repository: EventSourcedDeploymentRepository
) -> None:
    """Without it the rule's cooldown would be lost too."""
    d1 = await world.with_routes(active=2, scaling_policy=RULED)
    await world.sample(d1, 50)
    assert await decided(repository, world, d1) == 4
    away = patch.object(world.plane.decider, "execute", side_effect=LogUnavailable("not now"))
    with away, pytest.raises(LogUnavailable):
        await repository.update_desired_replicas_bulk({d1: 4})

    await repository.update_desired_replicas_bulk({d1: 4})

    [event] = await calculated(world, d1)
    assert event.decision.reason is DecisionReason.RULE
    assert "queue-long" in (await world.state(d1)).rules_fired_at


async def test_the_arithmetic_of_an_earlier_round_is_not_used_for_another_number(
    world: World, repository: EventSourcedDeploymentRepository
) -> None:
    d1 = await world.with_routes(active=2, scaling_policy=RULED)
    await world.sample(d1, 50)
    assert await decided(repository, world, d1) == 4
    state = await world.state(d1)

    await repository.fetch_metrics_for_autoscaling([state], {d1: ()})
    await repository.update_desired_replicas_bulk({d1: 4})

    [event] = await calculated(world, d1)
    assert (event.decision.reason, event.decision.evaluation) == (DecisionReason.MANUAL, None)


async def test_a_number_that_was_calculated_from_another_target_is_rejected_as_changed(
    world: World, repository: EventSourcedDeploymentRepository
) -> None:
    d1 = await world.with_routes(active=2, scaling_policy=RULED)
    await world.sample(d1, 50)
    assert await decided(repository, world, d1) == 4
    await world.when(c.SetReplicaCount(deployment_id=d1, replica_count=7))

    with pytest.raises(BulkOperationFailed) as caught:
        await repository.update_desired_replicas_bulk({d1: 4})

    assert codes(caught) == {d1: RejectionCode.CHANGED_MEANWHILE}
    assert (await world.state(d1)).target_replica_count == 7
