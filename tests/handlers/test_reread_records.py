"""After a restore, a creation that is read again may have an endpoint that the log does not know."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from domain import commands as c
from domain import events as e
from domain.deployment import Lifecycle
from domain.incarnations import IncarnationBegun, RereadPartition
from tests.handlers.decision_support import AT, P0, DecidingWorker, create, deployment, item, later, new_log, reading

D1, D2 = deployment(1), deployment(2)
REREAD = RereadPartition(topic=P0.topic, epoch=P0.epoch, partition=P0.partition, until=2)


@pytest.fixture
async def worker() -> AsyncIterator[DecidingWorker]:
    """A decider on a restored log that reads records below offset 2 again."""
    worker = DecidingWorker(new_log())
    begun = IncarnationBegun(at=AT, incarnation=2, after_position=1, settles_at=later(5), reread=(REREAD,))
    worker.decider._drafting._context = replace(worker.decider._drafting._context, incarnation=begun)
    yield worker
    await worker.stop()


async def test_what_is_created_and_destroyed_again_in_one_batch_is_deleted_at_the_proxy(
    worker: DecidingWorker,
) -> None:
    """Otherwise an endpoint that was made before the restore would stay at the proxy for ever."""
    destroy = c.DestroyDeployment(deployment_id=D1)
    await worker.submit(reading(None, item(P0, 0, create(D1)), item(P0, 1, destroy)))

    state = (await worker.decider.load([D1]))[D1]
    assert state.lifecycle is Lifecycle.DESTROYING
    assert state.endpoint.may_exist
    assert state.endpoint.settles_at == later(5)
    names = [type(logged.recorded.event) for logged in await worker.log.stream(D1)]
    assert names == [e.DeploymentCreated, e.EndpointDoubted, e.DestructionRequested]


async def test_what_is_new_since_then_is_not_doubted(worker: DecidingWorker) -> None:
    await worker.submit(reading(None, item(P0, 2, create(D2))))

    assert not (await worker.decider.load([D2]))[D2].endpoint.may_exist


async def test_a_creation_that_is_refused_or_known_is_not_doubted(worker: DecidingWorker) -> None:
    await worker.submit(reading(None, item(P0, 0, create(D1)), item(P0, 1, create(D1, replicas=3), id="other")))

    doubts = [logged for logged in await worker.log.stream(D1) if isinstance(logged.recorded.event, e.EndpointDoubted)]
    assert len(doubts) == 1
