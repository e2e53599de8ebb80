"""Broker, proxy and replicas that outlive the database and its workers, for tests that play an operator."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from secrets import token_urlsafe
from uuid import UUID, uuid4

from adapters.kafka.connection import KafkaConnection
from adapters.kafka.topics import ensure_topics
from domain import commands as c
from domain.deployment import Lifecycle
from domain.revision import Revision
from projections.deployments import DeploymentRow
from service.demo.client import DemoClient
from service.demo.reference_proxy import ReferenceProxy
from service.demo.reference_runtime import ReferenceRuntime
from service.embedded import EmbeddedProxy, announce_embedded
from service.kafka_access import embedded_broker
from service.settings import Settings

GROUP = "default"


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


@asynccontextmanager
async def site_of(settings: Settings) -> AsyncIterator[Site]:
    """Set everything up but a worker, and end it with the block."""
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
