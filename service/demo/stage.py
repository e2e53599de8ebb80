"""Everything that the demonstration runs on: broker, proxy, replicas, and a worker in a process of its own."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from secrets import token_urlsafe

from adapters.kafka.connection import KafkaConnection
from adapters.kafka.topics import ensure_topics
from service.demo.client import DemoClient
from service.demo.reference_proxy import ReferenceProxy
from service.demo.reference_runtime import ReferenceRuntime
from service.demo.replica_model import ReplicaTimes
from service.demo.worker_process import WorkerProcess
from service.embedded import EmbeddedProxy, announce_embedded
from service.kafka_access import embedded_broker
from service.settings import Settings

#: The scaling group that the demonstration's proxy serves.
RESOURCE_GROUP = "default"

#: An image whose replicas never start.
BROKEN_IMAGE = "registry.example/broken:1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What the acts play on."""

    settings: Settings
    broker_address: str
    proxy: ReferenceProxy
    worker: WorkerProcess
    client: DemoClient


@asynccontextmanager
async def set_up(settings: Settings, tell: Callable[[str], None]) -> AsyncIterator[Stage]:
    """Start everything, and end it with the block."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    token = token_urlsafe(16)
    circuits = settings.data_dir / "reference-proxy.json"
    async with (
        embedded_broker(settings) as parts,
        ReferenceProxy(token, state_file=circuits) as proxy,
    ):
        served = EmbeddedProxy(address=proxy.address, token=token, groups=(RESOURCE_GROUP,))
        announce_embedded(settings.data_dir, parts.model_copy(update={"proxy": served}))
        connection = KafkaConnection(bootstrap_servers=parts.broker_address)
        topics = settings.kafka.topics
        await ensure_topics(connection, topics)
        runtime = ReferenceRuntime(connection, topics, ReplicaTimes(broken_images=frozenset({BROKEN_IMAGE})))
        worker = WorkerProcess(settings, settings.data_dir / "worker.log", tell)
        async with DemoClient(connection, topics) as client:
            stop = asyncio.Event()
            async with asyncio.TaskGroup() as group:
                background = [group.create_task(runtime.run(stop)), group.create_task(worker.run())]
                yield Stage(
                    settings=settings, broker_address=parts.broker_address, proxy=proxy, worker=worker, client=client
                )
                stop.set()
                background[1].cancel()
                with suppress(asyncio.CancelledError):
                    await background[1]
