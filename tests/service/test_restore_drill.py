"""The restore drill: an older database comes back under topics and proxies that have moved on."""

import asyncio
import os
import shutil
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from secrets import token_urlsafe
from uuid import UUID, uuid4

import pytest

from adapters.kafka.connection import KafkaConnection
from adapters.kafka.topics import ensure_topics
from domain import commands as c
from domain.deployment import Lifecycle
from domain.revision import Revision
from projections.deployments import DeploymentRow
from service.demo.audience import Audience
from service.demo.client import DemoClient
from service.demo.reference_proxy import ReferenceProxy
from service.demo.reference_runtime import ReferenceRuntime
from service.embedded import EmbeddedProxy, announce_embedded
from service.kafka_access import embedded_broker
from service.settings import Settings
from service.stores import stores_of
from tests.oracle import assert_one_story

GROUP = "default"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("ROUTEKEEPER_PROXY__CALL_TIMEOUT_SECONDS", "2")
    monkeypatch.setenv("ROUTEKEEPER_PROXY__SETTLE_SECONDS", "1")
    monkeypatch.setenv("ROUTEKEEPER_PROXY__LIMITS__SLOT_WAIT_SECONDS", "2")
    return Settings(data_dir=tmp_path / "data")


class Site:
    """Broker, proxy and replicas that outlive the database, and programs of Routekeeper as an operator runs them."""

    def __init__(self, settings: Settings, proxy: ReferenceProxy, client: DemoClient) -> None:
        self.settings = settings
        self.proxy = proxy
        self.client = client
        self._environment = {**os.environ, "ROUTEKEEPER_DATA_DIR": str(settings.data_dir.absolute())}

    async def start(self, *arguments: str) -> asyncio.subprocess.Process:
        """Start a program of Routekeeper."""
        pipe, together = asyncio.subprocess.PIPE, asyncio.subprocess.STDOUT
        command = (sys.executable, "-m", "service", *arguments)
        return await asyncio.create_subprocess_exec(*command, env=self._environment, stdout=pipe, stderr=together)

    async def run(self, *arguments: str) -> tuple[int, str]:
        """Run a program to its end; gives the exit code and what it said."""
        process = await self.start(*arguments)
        said, _ = await process.communicate()
        return process.returncode or 0, said.decode()

    @asynccontextmanager
    async def worker(self) -> AsyncIterator[None]:
        """A worker that is killed at the end, as in a disaster."""
        process = await self.start("worker")
        try:
            yield
        finally:
            process.kill()
            await process.communicate()

    @property
    def circuits(self) -> set[UUID]:
        """The endpoints at the proxy."""
        return {circuit.endpoint_id for circuit in self.proxy.circuits.all()}


@pytest.fixture
async def site(settings: Settings) -> AsyncIterator[Site]:
    settings.data_dir.mkdir(parents=True)
    token = token_urlsafe(16)
    async with embedded_broker(settings) as parts, ReferenceProxy(token) as proxy:
        served = EmbeddedProxy(address=proxy.address, token=token, groups=(GROUP,))
        announce_embedded(settings.data_dir, parts.model_copy(update={"proxy": served}))
        connection, topics = KafkaConnection(bootstrap_servers=parts.broker_address), settings.kafka.topics
        await ensure_topics(connection, topics)
        stop = asyncio.Event()
        runtime = asyncio.create_task(ReferenceRuntime(connection, topics).run(stop))
        async with DemoClient(connection, topics) as client:
            yield Site(settings, proxy, client)
        stop.set()
        await runtime


def creation(deployment_id: UUID) -> c.CreateDeployment:
    return c.CreateDeployment(
        deployment_id=deployment_id,
        name=f"deployment-{deployment_id}",
        resource_group=GROUP,
        domain="test",
        project=uuid4(),
        owner=uuid4(),
        target_revision=Revision(revision_id=uuid4(), image="image", model="model"),
    )


def is_ready(row: DeploymentRow) -> bool:
    return row.lifecycle is Lifecycle.READY and row.healthy_replicas == row.target_replica_count


def is_gone(row: DeploymentRow) -> bool:
    return row.lifecycle is Lifecycle.DESTROYED


def back_up(log_file: Path, copy: Path) -> None:
    with closing(sqlite3.connect(log_file)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)


def restore(log_file: Path, copy: Path) -> None:
    for beside in ("-wal", "-shm"):
        log_file.with_name(log_file.name + beside).unlink(missing_ok=True)
    shutil.copy(copy, log_file)


@pytest.mark.timeout(120)
async def test_restore_drill_with_sqlite(site: Site, settings: Settings, tmp_path: Path) -> None:
    """A restored log is noticed and refused; declared a new incarnation it is safe, and nothing is doubled."""
    stays, goes, comes, passes = ids = [uuid4() for _ in range(4)]
    audience = Audience(settings, patience=40)
    copy = tmp_path / "backup.db"
    async with site.worker():
        for deployment_id in (stays, goes):
            await site.client.command(creation(deployment_id))
        for deployment_id in (stays, goes):
            await audience.until(deployment_id, is_ready)
        back_up(settings.log_file, copy)
        # All this the copy does not know: one created, one destroyed, one created and destroyed.
        await site.client.command(creation(comes))
        await site.client.command(creation(passes))
        await site.client.command(c.DestroyDeployment(deployment_id=goes))
        for deployment_id in (comes, passes):
            await audience.until(deployment_id, is_ready)
        await audience.until(goes, is_gone)
        await site.client.command(c.DestroyDeployment(deployment_id=passes))
        await audience.until(passes, lambda row: row.lifecycle.is_ending)
    restore(settings.log_file, copy)

    code, said = await site.run("worker")
    assert code == 1
    assert "routekeeper new-incarnation" in said

    code, said = await site.run("new-incarnation", "--actor", "operator")
    assert (code, "incarnation 2 of the log" in said) == (0, True), said
    async with site.worker():
        for deployment_id in (stays, comes):
            await audience.until(deployment_id, is_ready)
        for deployment_id in (goes, passes):
            await audience.until(deployment_id, is_gone)
    stores = stores_of(settings)
    with closing(stores.read_log()) as log:
        views = stores.open_views()
        states = await assert_one_story(log, views, site.circuits)
        views.dispose()
    assert set(states) == set(ids)
    assert site.circuits == {stays, comes}
