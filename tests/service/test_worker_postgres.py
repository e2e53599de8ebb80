"""Two workers on PostgreSQL, killed in turn and cut off from the database, lose nothing and do nothing twice."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import closing, suppress
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest

from domain import commands as c
from domain.deployment import Lifecycle
from domain.revision import Revision
from handlers.ports import LogBatch, Retained
from projections.deployments import DeploymentRow
from service.demo.audience import Audience
from service.demo.stage import RESOURCE_GROUP, Stage, set_up
from service.demo.worker_process import WorkerProcess
from service.settings import Settings
from service.stores import stores_of
from tests.adapters.event_log_scaling_support import LONG_AGO, report
from tests.oracle import assert_one_story

DEPLOYMENTS = 8


@pytest.fixture
def settings(tmp_path: Path, postgres_database: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("ROUTEKEEPER_DATABASE__URL", postgres_database)
    monkeypatch.setenv("ROUTEKEEPER_PROXY__CALL_TIMEOUT_SECONDS", "2")
    monkeypatch.setenv("ROUTEKEEPER_PROXY__SETTLE_SECONDS", "1")
    monkeypatch.setenv("ROUTEKEEPER_RETENTION__INTERVAL_SECONDS", "0.2")
    monkeypatch.setenv("ROUTEKEEPER_PROXY__LIMITS__SLOT_WAIT_SECONDS", "2")
    return Settings(data_dir=tmp_path / "data")


@pytest.fixture
async def stage(settings: Settings) -> AsyncIterator[Stage]:
    async with set_up(settings, print) as stage:
        yield stage


@pytest.fixture
async def second(stage: Stage, settings: Settings) -> AsyncIterator[WorkerProcess]:
    """A second worker beside the stage's."""
    worker = WorkerProcess(settings, settings.data_dir / "second.log", print)
    running = asyncio.create_task(worker.run())
    yield worker
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


def creation(deployment_id: UUID) -> c.CreateDeployment:
    return c.CreateDeployment(
        deployment_id=deployment_id,
        name=f"deployment-{deployment_id}",
        resource_group=RESOURCE_GROUP,
        domain="test",
        project=uuid4(),
        owner=uuid4(),
        target_revision=Revision(revision_id=uuid4(), image="image", model="model"),
    )


def is_settled(row: DeploymentRow, count: int) -> bool:
    wanted = (Lifecycle.READY, count, count, count)
    return (row.lifecycle, row.target_replica_count, row.active_replicas, row.healthy_replicas) == wanted


def cut_all_connections(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(
            """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE datname = current_database() AND pid <> pg_backend_pid()"""
        )


@pytest.mark.timeout(150)
async def test_killed_workers_and_cut_connections_lose_no_command_and_apply_none_twice(
    stage: Stage, second: WorkerProcess, settings: Settings, postgres_database: str
) -> None:
    dice = random.Random(11)
    ids = [uuid4() for _ in range(DEPLOYMENTS)]
    wanted = dict.fromkeys(ids, 1)
    audience = Audience(settings, patience=60)
    for deployment_id in ids:
        await stage.client.command(creation(deployment_id))
    await audience.until(ids[-1], lambda row: row.version > 1)

    # Too old to be kept, by the clock of any machine.
    with closing(stores_of(settings).open_log()) as log:
        await log.append(LogBatch(samples=[report(ids[0], LONG_AGO)]))
    for strike in (stage.worker.kill, lambda: cut_all_connections(postgres_database), second.kill):
        for _ in range(20):
            deployment_id = dice.choice(ids)
            wanted[deployment_id] = dice.randrange(4)
            command = c.SetReplicaCount(deployment_id=deployment_id, replica_count=wanted[deployment_id])
            await stage.client.command(command)
        strike()
        await audience.until(deployment_id, lambda row: row.target_replica_count == wanted[row.id])

    for deployment_id in ids:
        await audience.until(deployment_id, lambda row: is_settled(row, wanted[row.id]))
    stores = stores_of(settings)
    with closing(stores.read_log()) as log:
        assert (await log.horizons()).keys() == {Retained.SAMPLES}
        assert await log.sample_reports(ids, since=LONG_AGO) == {}
        views = stores.open_views()
        circuits = {circuit.endpoint_id for circuit in stage.proxy.circuits.all()}
        states = await assert_one_story(log, views, circuits)
        views.dispose()
    assert set(states) == set(ids)
