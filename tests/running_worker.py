"""A whole worker or follower inside the test's own process, on a real broker, with its admin port open."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import httpx

from domain import commands as c
from service.admin.port import AdminPort
from service.bootstrap import utc_now
from service.follow import follow_log
from service.kafka_access import KafkaAccess
from service.settings import AdminSettings, Settings
from service.worker_life import Worker
from service.worker_parts import open_worker


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def creation(deployment_id: UUID) -> c.CreateDeployment:
    """The command that begins a deployment which asks for nothing yet."""
    return c.CreateDeployment(
        deployment_id=deployment_id,
        name=f"deployment-{deployment_id}",
        resource_group="nowhere",
        domain="test",
        project=uuid4(),
        owner=uuid4(),
    )


@dataclass(frozen=True, slots=True)
class RunningProcess:
    """A client of a process's admin port."""

    http: httpx.AsyncClient

    async def until(self, path: str, wanted: Callable[[httpx.Response], bool], *, within: float = 30.0) -> str:
        """Ask until the answer is as wanted, and give its text."""
        text = ""
        try:
            async with asyncio.timeout(within):
                while True:
                    answer = await self.http.get(path)
                    text = answer.text
                    if wanted(answer):
                        return text
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"{path} went on to answer:\n{text}") from None

    async def until_ready(self) -> str:
        """Wait until the process is ready."""
        return await self.until("/readyz", lambda answer: answer.status_code == 200)

    async def until_unready(self, words: str) -> str:
        """Wait until the process is not ready, and says these words."""
        return await self.until("/readyz", lambda answer: answer.status_code == 503 and words in answer.text)

    async def until_metric(self, line: str) -> str:
        """Wait until the metrics hold a line that begins like this."""
        return await self.until("/metrics", lambda answer: any(r.startswith(line) for r in answer.text.splitlines()))


@dataclass(frozen=True, slots=True)
class RunningWorker(RunningProcess):
    """A worker, and a client of its admin port."""

    worker: Worker


@asynccontextmanager
async def running_worker(settings: Settings, access: KafkaAccess) -> AsyncIterator[RunningWorker]:
    """Run a worker, and stop it cleanly at the end."""
    admin_settings = AdminSettings(port=free_port(), refresh_seconds=0.2)
    admin = AdminPort(admin_settings, clock=utc_now)
    stop = asyncio.Event()
    partitions = settings.kafka.topics.partitions
    async with (
        admin.open(),
        open_worker(settings, access, partitions, admin) as worker,
        _asked(admin_settings, worker.run(stop), stop) as http,
    ):
        yield RunningWorker(http, worker)


@asynccontextmanager
async def running_follower(settings: Settings, access: KafkaAccess) -> AsyncIterator[RunningProcess]:
    """Follow the log, and stop cleanly at the end."""
    admin_settings = AdminSettings(port=free_port(), refresh_seconds=0.2)
    admin = AdminPort(admin_settings, clock=utc_now, process="follower")
    stop = asyncio.Event()
    async with admin.open(), _asked(admin_settings, follow_log(settings, access, admin, stop), stop) as http:
        yield RunningProcess(http)


@asynccontextmanager
async def _asked(
    settings: AdminSettings, work: Coroutine[Any, Any, None], stop: asyncio.Event
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of this admin port, while the work is done."""
    running = asyncio.create_task(work)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{settings.port}", trust_env=False) as http:
            yield http
    finally:
        stop.set()
        await running
