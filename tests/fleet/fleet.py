"""Several worker processes on one broker and one PostgreSQL, with the reference proxy and make-believe replicas."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
from aiokafka.errors import KafkaError

from adapters.kafka.connection import KafkaConnection
from adapters.kafka.topics import ensure_topics
from service.demo.reference_proxy import ReferenceProxy
from service.demo.reference_runtime import ReferenceRuntime
from service.demo.replica_model import ReplicaTimes
from service.demo.worker_process import WorkerProcess
from service.kafka_access import embedded_broker, known_kafka
from service.settings import Settings

TOKEN = "made-up-for-tests"
RESOURCE_GROUP = "default"

_BEGINS_WITH = re.compile(
    r"(?P<at>\S+Z) .*reading TopicPartition\(topic='[\w-]+\.commands', partition=(?P<partition>\d+)\)"
)


@dataclass(kw_only=True)
class Fleet:
    """What is up. ``settings`` are those of each worker; ``told`` is what was said about workers that ended."""

    settings: Settings
    connection: KafkaConnection
    database_url: str
    proxy: ReferenceProxy
    workers: Sequence[WorkerProcess]
    log_files: Sequence[Path]
    running: Sequence["asyncio.Task[None]"]
    told: list[str] = field(default_factory=list)

    def kill_for_good(self, number: int) -> None:
        """Kill a worker, and start no other in its place."""
        self.workers[number].kill()
        self.running[number].cancel()

    async def kill(self, number: int) -> None:
        """Kill a worker, and return when another one was started in its place."""
        worker = self.workers[number]
        before = worker.pid
        worker.kill()
        while worker.pid in {None, before}:  # noqa: ASYNC110 - another process, which tells nobody
            await asyncio.sleep(0.02)

    def cut_database_connections(self) -> None:
        """End all connections to the database from outside."""
        with psycopg.connect(self.database_url) as connection:
            connection.execute(
                """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                   WHERE datname = current_database() AND pid <> pg_backend_pid()"""
            )

    def owners(self) -> dict[int, int]:
        """Which worker (number) was the last to begin with each partition of the commands topic, by their logs.

        Apache Kafka would tell, the embedded broker does not.
        """
        begun = [
            (found["at"], int(found["partition"]), number)
            for number, log_file in enumerate(self.log_files)
            for found in _BEGINS_WITH.finditer(log_file.read_text(errors="replace") if log_file.exists() else "")
        ]
        return {partition: number for _, partition, number in sorted(begun)}

    async def until_owned_by(self, numbers: Collection[int], *, within: float = 40.0) -> None:
        """Wait until these workers, and no others, have all partitions among them, each having some."""
        everything = set(range(self.settings.kafka.topics.partitions))
        async with asyncio.timeout(within):
            while not (self.owners().keys() == everything and set(self.owners().values()) == set(numbers)):  # noqa: ASYNC110 - only logs tell
                await asyncio.sleep(0.1)


@asynccontextmanager
async def fleet(
    folder: Path,
    *,
    workers: int,
    database_url: str,
    kafka: KafkaConnection | None,
    tell: Callable[[str], None] = lambda _: None,
    partitions: int = 6,
) -> AsyncIterator[Fleet]:
    """Start everything, and end it with the block; without ``kafka`` on an embedded broker of its own."""
    told: list[str] = []

    def hear(sentence: str) -> None:
        told.append(sentence)
        tell(sentence)

    async with AsyncExitStack() as stack:
        proxy = await stack.enter_async_context(ReferenceProxy(TOKEN, state_file=folder / "circuits.json"))
        values = _values(folder, database_url, proxy.address, kafka, partitions)
        settings = Settings(**values)
        if kafka is None:
            await stack.enter_async_context(embedded_broker(settings))
        connection = known_kafka(settings).connection
        await ensure_topics(connection, settings.kafka.topics)
        log_files = [folder / f"worker-{number}.log" for number in range(workers)]
        processes = [
            WorkerProcess(settings, log_file, hear, environment=_environment(_with_instance(values, log_file.stem)))
            for log_file in log_files
        ]
        running = [await stack.enter_async_context(_running(worker.run())) for worker in processes]
        _ = await stack.enter_async_context(_running(_keep_replicas(connection, settings)))
        yield Fleet(
            settings=settings,
            connection=connection,
            database_url=database_url,
            proxy=proxy,
            workers=processes,
            log_files=log_files,
            running=running,
            told=told,
        )


def _values(
    folder: Path, database_url: str, proxy_address: str, kafka: KafkaConnection | None, partitions: int
) -> dict[str, Any]:
    """The settings of every worker: waits as short as tests want them, and topics of their own."""
    targets = folder / "targets.yaml"
    targets.write_text(f"{RESOURCE_GROUP}: {{address: '{proxy_address}', token: {{value: '{TOKEN}'}}}}\n")
    run = uuid4().hex
    names = ("commands", "routes", "metrics", "dead_letters", "events", "desired_routes")
    topics: dict[str, Any] = {name: f"fleet-{run}.{name}" for name in names}
    values: dict[str, Any] = {
        "data_dir": folder / "data",
        "proxy_targets_file": targets,
        "database": {"url": database_url},
        "proxy": {"call_timeout_seconds": 2, "settle_seconds": 1, "limits": {"slot_wait_seconds": 2}},
        "kafka": {"topics": {**topics, "partitions": partitions}, "consumer": {"group": f"fleet-{run}"}},
    }
    if kafka is not None:
        values["kafka"]["bootstrap_servers"] = kafka.bootstrap_servers
        values["kafka"]["consumer"] |= {"session_timeout": 3, "heartbeat_interval": 0.5, "rebalance_timeout": 5}
    return values


def _with_instance(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    kafka = values["kafka"]
    return {**values, "kafka": {**kafka, "consumer": {**kafka["consumer"], "instance_id": name}}}


def _environment(values: Mapping[str, Any], prefix: str = "ROUTEKEEPER_") -> dict[str, str]:
    """The same settings as environment variables."""
    flat: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= _environment(value, f"{prefix}{name.upper()}__")
        else:
            flat[f"{prefix}{name.upper()}"] = str(value)
    return flat


@asynccontextmanager
async def _running(work: Any) -> AsyncIterator["asyncio.Task[None]"]:  # noqa: ANN401 - any coroutine
    task = asyncio.ensure_future(work)
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _keep_replicas(connection: KafkaConnection, settings: Settings) -> None:
    """Run make-believe replicas; after the broker was away from the beginning, as they keep nothing."""
    while True:
        runtime = ReferenceRuntime(connection, settings.kafka.topics, ReplicaTimes(start=0.05, stop=0.05))
        with suppress(KafkaError):
            await runtime.run(asyncio.Event())
        await asyncio.sleep(0.2)
