"""A worker that is killed again and again loses nothing and does nothing twice: real processes, broker and proxy."""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from adapters.event_store.event_log import open_sqlite_log
from domain import commands as c
from domain.deployment import Lifecycle
from domain.revision import Revision
from projections.database import open_database
from projections.deployments import DeploymentRow
from service.demo.audience import Audience
from service.demo.stage import RESOURCE_GROUP, Stage, set_up
from service.settings import Settings
from tests.oracle import assert_one_story

DEPLOYMENTS = 12
KILLS = 3


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Embedded defaults in a folder of the test's own; a call that a kill cut off settles within seconds."""
    monkeypatch.setenv("ROUTEKEEPER_PROXY__CALL_TIMEOUT_SECONDS", "2")
    monkeypatch.setenv("ROUTEKEEPER_PROXY__SETTLE_SECONDS", "1")
    monkeypatch.setenv("ROUTEKEEPER_PROXY__LIMITS__SLOT_WAIT_SECONDS", "2")
    return Settings(data_dir=tmp_path / "data")


@pytest.fixture
async def stage(settings: Settings) -> AsyncIterator[Stage]:
    """Broker, proxy, replicas, and a worker in a process of its own."""
    async with set_up(settings, print) as stage:
        yield stage


def creation(deployment_id: UUID) -> c.CreateDeployment:
    revision = Revision(revision_id=uuid4(), image="image", model="model")
    return c.CreateDeployment(
        deployment_id=deployment_id,
        name=f"deployment-{deployment_id}",
        resource_group=RESOURCE_GROUP,
        domain="test",
        project=uuid4(),
        owner=uuid4(),
        target_revision=revision,
    )


def is_settled(row: DeploymentRow, count: int) -> bool:
    wanted = (Lifecycle.READY, count, count, count)
    return (row.lifecycle, row.target_replica_count, row.active_replicas, row.healthy_replicas) == wanted


@pytest.mark.timeout(150)
async def test_killed_workers_lose_no_command_and_apply_none_twice(stage: Stage, settings: Settings) -> None:
    """After kills in the middle of a stream of commands, log, views and proxy tell one story."""
    dice = random.Random(7)
    ids = [uuid4() for _ in range(DEPLOYMENTS)]
    wanted = dict.fromkeys(ids, 1)
    for deployment_id in ids:
        await stage.client.command(creation(deployment_id))
    audience = Audience(settings, patience=60)
    await audience.until(ids[0], lambda row: row.version > 1)

    for _ in range(KILLS):
        for _ in range(30):
            deployment_id = dice.choice(ids)
            wanted[deployment_id] = dice.randrange(4)
            command = c.SetReplicaCount(deployment_id=deployment_id, replica_count=wanted[deployment_id])
            await stage.client.command(command)
        before = stage.worker.pid
        stage.worker.kill()
        while stage.worker.pid in {None, before}:  # noqa: ASYNC110 - another process, which tells nobody
            await asyncio.sleep(0.02)
        await audience.until(deployment_id, lambda row: row.target_replica_count == wanted[row.id])
    for deployment_id in ids[::3]:
        await stage.client.command(c.DestroyDeployment(deployment_id=deployment_id))

    for number, deployment_id in enumerate(ids):
        if number % 3 == 0:
            await audience.until(deployment_id, lambda row: row.lifecycle is Lifecycle.DESTROYED)
        else:
            await audience.until(deployment_id, lambda row: is_settled(row, wanted[row.id]))
    log, views = open_sqlite_log(settings.log_file), open_database(settings.views_url)
    circuits = {circuit.endpoint_id for circuit in stage.proxy.circuits.all()}
    states = await assert_one_story(log, views, circuits)
    log.close()
    views.dispose()
    assert set(states) == set(ids)
