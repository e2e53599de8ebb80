"""The reference proxy and the reference runtime serve a worker as processes of their own, as they do in containers."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest

from adapters.kafka.connection import KafkaConnection
from adapters.kafka.consumer_settings import ConsumerSettings
from adapters.kafka.topics import Topics
from domain import commands as c
from domain.deployment import Lifecycle
from domain.revision import Revision
from projections.deployments import DeploymentRow
from service.demo.audience import Audience
from service.demo.client import DemoClient
from service.settings import Settings

TOKEN = "token-of-the-proxy"
PROCESS_SECONDS = 20
TARGETS = """
default:
  address: http://127.0.0.1:{port}
  token:
    env: PROXY_TOKEN
"""


@asynccontextmanager
async def process(*arguments: str, **environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A module of the project as a process, which must end by itself with exit code 0 when it is asked to."""
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *arguments, env={**os.environ, **environment}, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield running
        running.terminate()
        async with asyncio.timeout(PROCESS_SECONDS):
            assert await running.wait() == 0
    finally:
        if running.returncode is None:
            running.kill()
            await running.wait()


@asynccontextmanager
async def proxy_process(*arguments: str) -> AsyncIterator[str]:
    """A reference proxy on a free port of every interface; gives the address that it prints."""
    module = "service.demo.reference_proxy"
    async with process(module, "--host", "0.0.0.0", *arguments, REFERENCE_PROXY_TOKEN=TOKEN) as proxy:
        assert proxy.stdout is not None
        yield (await proxy.stdout.readline()).decode().strip()


@pytest.fixture
def environment(
    tmp_path: Path, kafka: KafkaConnection, topics: Topics, consumer_settings: ConsumerSettings
) -> dict[str, str]:
    """What the worker and the runtime are given."""
    names = {name: getattr(topics, name) for name in ("commands", "routes", "metrics", "events", "desired_routes")}
    return {
        "ROUTEKEEPER_DATA_DIR": str(tmp_path / "data"),
        "ROUTEKEEPER_PROXY_TARGETS_FILE": str(tmp_path / "targets.yaml"),
        "ROUTEKEEPER_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "ROUTEKEEPER_KAFKA__IDEMPOTENT_PRODUCERS": str(kafka.has_idempotent_producers),
        **{
            f"ROUTEKEEPER_KAFKA__CONSUMER__{name.upper()}": str(getattr(consumer_settings, name))
            for name in ("group", "session_timeout", "heartbeat_interval", "rebalance_timeout", "fetch_max_wait")
        },
        "ROUTEKEEPER_KAFKA__TOPICS__DEAD_LETTERS": topics.dead_letters,
        "ROUTEKEEPER_STOP_GRACE_SECONDS": "5",
        "PROXY_TOKEN": TOKEN,
        **{f"ROUTEKEEPER_KAFKA__TOPICS__{name.upper()}": value for name, value in names.items()},
    }


def creation(deployment_id: UUID) -> c.CreateDeployment:
    return c.CreateDeployment(
        deployment_id=deployment_id,
        name="chat",
        resource_group="default",
        domain="test",
        project=uuid4(),
        owner=uuid4(),
        replica_count=2,
        target_revision=Revision(revision_id=uuid4(), image="registry.example/llm:7", model="chat-7b"),
    )


async def test_a_deployment_gets_its_endpoint_and_its_replicas_from_processes(
    tmp_path: Path, environment: dict[str, str], kafka: KafkaConnection, topics: Topics
) -> None:
    deployment_id = uuid4()
    audience = Audience(Settings(data_dir=tmp_path / "data"), patience=40)

    def is_served(row: DeploymentRow) -> bool:
        return row.lifecycle is Lifecycle.READY and row.healthy_replicas == 2

    async with proxy_process() as address, process("service.demo.reference_runtime", **environment):
        port = address.rpartition(":")[2]
        (tmp_path / "targets.yaml").write_text(TARGETS.format(port=port))
        async with process("service", "worker", **environment), DemoClient(kafka, topics) as client:
            await client.command(creation(deployment_id))
            await audience.until(deployment_id, is_served)
        async with httpx.AsyncClient(trust_env=False) as http:
            held = (await http.get(f"http://127.0.0.1:{port}/reference/circuits")).json()

    assert [circuit["endpoint_id"] for circuit in held] == [str(deployment_id)]


async def test_the_proxy_tells_the_name_that_others_know_it_by() -> None:
    async with proxy_process("--advertised-host", "app-proxy") as address:
        port = address.rpartition(":")[2]
        async with httpx.AsyncClient(trust_env=False) as http:
            answer = await http.get(f"http://127.0.0.1:{port}/reference/circuits")

    assert address == f"http://app-proxy:{port}"
    assert answer.json() == []


@pytest.mark.parametrize(
    ("variable", "value", "complaint"),
    [
        ("ROUTEKEEPER_KAFKA__BOOTSTRAP_SERVERS", "", "no broker is up"),
        ("ROUTEKEEPER_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:1", "127.0.0.1"),
        ("ROUTEKEEPER_KAFKA__TOPICS__PARTITIONS", "many", "ROUTEKEEPER_KAFKA__TOPICS__PARTITIONS"),
    ],
)
async def test_a_runtime_that_cannot_start_says_why(tmp_path: Path, variable: str, value: str, complaint: str) -> None:
    environment = {**os.environ, "ROUTEKEEPER_DATA_DIR": str(tmp_path), variable: value}
    runtime = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "service.demo.reference_runtime", env=environment, stderr=asyncio.subprocess.PIPE
    )

    _, said = await runtime.communicate()

    assert runtime.returncode == 1
    assert complaint in said.decode().splitlines()[-1]
    assert "Unclosed" not in said.decode()
