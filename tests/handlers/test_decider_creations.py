"""Nobody looks up what is to be created; what is there all the same is found out, and decided on as it is."""

from collections.abc import AsyncIterator, Collection, Mapping
from uuid import UUID

import pytest

from domain import commands as c
from domain.autoscaling.rules import ScalingPolicy
from domain.deployment import Deployment
from domain.errors import RejectionCode
from domain.routes import RouteStatus
from tests.handlers.decision_support import (
    P0,
    DecidingWorker,
    create,
    decider_limits,
    deployment,
    item,
    new_log,
    reading,
    second,
    set_count,
)

D1 = deployment(1)


@pytest.fixture
async def successor(worker: DecidingWorker) -> AsyncIterator[DecidingWorker]:
    """Another worker on the log, with nothing in memory, after the first one has created a deployment."""
    await worker.submit(reading(None, item(P0, 0, create(D1), id="first")))
    successor = DecidingWorker(second(worker.log))
    yield successor
    await successor.stop()


async def names(worker: DecidingWorker) -> list[str]:
    return [logged.recorded.event.name for logged in await worker.log.stream(D1)]


async def test_the_log_is_not_asked_for_what_is_to_be_created(
    worker: DecidingWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[UUID] = []

    async def note(ids: Collection[UUID]) -> Mapping[UUID, Deployment]:
        asked.extend(ids)
        return {}

    monkeypatch.setattr(worker.log, "deployments", note)

    [[_, counted]] = await worker.submit(reading(None, item(P0, 0, create(D1)), item(P0, 1, set_count(D1, 3))))

    assert asked == []
    assert counted.state is not None
    assert counted.state.replica_spec.replica_count == 3


async def test_what_comes_before_its_creation_is_decided_on_what_the_log_holds(successor: DecidingWorker) -> None:
    [[counted, again]] = await successor.submit(reading(1, item(P0, 1, set_count(D1, 3)), item(P0, 2, create(D1, 9))))

    assert counted.rejection is None
    assert again.rejection is not None
    assert await names(successor) == ["deployment.created.v1", "deployment.replica-count-set.v1"]


async def test_a_deployment_that_is_there_is_not_created_again(successor: DecidingWorker) -> None:
    [[again, counted]] = await successor.submit(reading(1, item(P0, 1, create(D1, 9)), item(P0, 2, set_count(D1, 3))))

    assert again.rejection is not None
    assert again.rejection.code is RejectionCode.ALREADY_EXISTS
    assert [event.model_dump()["previous"] for event in counted.events] == [1]
    assert await names(successor) == ["deployment.created.v1", "deployment.replica-count-set.v1"]


async def test_after_a_creation_that_is_refused_the_next_command_is_decided_on_what_is_there(
    successor: DecidingWorker,
) -> None:
    """That creation would be refused for any deployment, so no event of it could find its place taken."""
    refused = create(D1).model_copy(update={"scaling_policy": ScalingPolicy(min_replicas=5, max_replicas=2)})

    [[_, counted]] = await successor.submit(reading(1, item(P0, 1, refused), item(P0, 2, set_count(D1, 3))))

    assert counted.rejection is None
    assert await names(successor) == ["deployment.created.v1", "deployment.replica-count-set.v1"]


async def test_the_same_creation_again_is_no_conflict_and_has_no_effect(successor: DecidingWorker) -> None:
    repeated = item(P0, 1, create(D1), id="first")

    [[again, counted]] = await successor.submit(reading(1, repeated, item(P0, 2, set_count(D1, 3))))

    assert (again.rejection, list(again.events)) == (None, [])
    assert [event.model_dump()["previous"] for event in counted.events] == [1]
    assert await names(successor) == ["deployment.created.v1", "deployment.replica-count-set.v1"]


async def test_no_record_becomes_a_dead_letter_that_what_is_there_allows(successor: DecidingWorker) -> None:
    """Dead letters are handed over before the log says that the deployment was there."""
    await successor.submit(reading(1, item(P0, 1, c.DestroyDeployment(deployment_id=D1))))
    successor.decider.forget()
    of_unknown_route = c.RouteReport(route_id=UUID(int=77), status=RouteStatus.HEALTHY)
    report = c.ReportRoutes(deployment_id=D1, reports=(of_unknown_route,))

    await successor.submit(reading(2, item(P0, 2, create(D1)), item(P0, 3, report)))

    assert [(record.offset, refusal.code) for record, refusal in successor.dead_letters.sent] == [
        (2, RejectionCode.DESTROYED)
    ]


async def test_nobody_gives_up_on_a_creation_before_what_is_there_was_looked_at(worker: DecidingWorker) -> None:
    """Else a creation that comes again would be read again for ever where one conflict is enough to give up."""
    await worker.submit(reading(None, item(P0, 0, create(D1), id="first")))
    impatient = DecidingWorker(second(worker.log), decider_limits(conflict_attempts=1))

    [[again]] = await impatient.submit(reading(1, item(P0, 1, create(D1, 9))))

    await impatient.stop()
    assert again.rejection is not None
    assert again.rejection.code is RejectionCode.ALREADY_EXISTS


async def test_a_creation_too_large_for_the_log_is_refused_because_the_deployment_exists() -> None:
    worker = DecidingWorker(new_log(max_event_bytes=600))
    await worker.submit(reading(None, item(P0, 0, create(D1), id="first")))
    successor = DecidingWorker(second(worker.log))
    large = create(D1).model_copy(update={"name": "l" * 255})

    [[again]] = await successor.submit(reading(1, item(P0, 1, large)))

    await successor.stop()
    await worker.stop()
    assert again.rejection is not None
    assert again.rejection.code is RejectionCode.ALREADY_EXISTS
