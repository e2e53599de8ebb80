"""Tokens and passwords go to whom they are for, and to no log, event, view, Kafka record or command's output."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer
from pydantic import SecretStr

from adapters.kafka.connection import KafkaConnection
from adapters.kafka.security import KafkaSecurity
from adapters.kafka.topics import Topics
from domain.deployment import Lifecycle
from service.demo.audience import Audience
from service.demo.worker_process import WorkerProcess
from service.settings import Settings
from tests.app_proxy_support import response, server_answering
from tests.cli_support import runner_for
from tests.sasl_servers import ScramExchange
from tests.secured_kafka import Gate, secured_broker

TOKEN, KAFKA_PASSWORD, DATABASE_PASSWORD = "canary-7d1f-token", "canary-7d1f-kafka", "canary-7d1f-database"
CANARY = "canary-7d1f"
#: What is to be found wherever there is anything to find, so that the search is known to look into it.
NAME = "sparrow"


CommandLine = Callable[..., Awaitable[str]]
LINES = (
    ("config",),
    ("config", "-o", "json"),
    ("doctor", "-o", "json"),
    ("get", "deployments", "--all"),
    ("get", "failures", "-o", "json"),
    ("history", NAME, "-o", "json"),
    ("rejected", "-o", "json"),
)


class TalkativeProxy:
    """Repeats the token in everything that it says, and does what it is asked only after it has failed in many ways."""

    def __init__(self) -> None:
        self.tokens: set[str] = set()
        self.has_deleted = asyncio.Event()
        self.created = self._failures()
        self.deleted = self._failures()

    async def answer(self, request: bytes, writer: asyncio.StreamWriter) -> None:
        head = request.decode().partition("\r\n\r\n")[0]
        token = next(line[18:].strip() for line in head.split("\r\n") if line.lower().startswith("x-backendai-token"))
        self.tokens.add(token)
        is_create = head.startswith("POST")
        done = response("200 OK", b'{"success": true, "endpoint": "http://sparrow.example/"}', f"X-Token: {token}")
        failure = next(self.created if is_create else self.deleted, done)
        writer.write(failure.replace(b"TOKEN", token.encode()))
        await writer.drain()
        if b"200 OK" in failure and not is_create:
            self.has_deleted.set()

    @staticmethod
    def _failures() -> Iterator[bytes]:
        said = json.dumps({"error_code": "TOKEN", "title": "TOKEN TOKEN", "msg": "x" * 195 + "TOKEN", "data": "TOKEN"})
        length = len(TOKEN) - len("TOKEN")
        body = said.encode() + b" " * (length * said.count("TOKEN"))
        for status in ("500 TOKEN", "503 TOKEN", "401 TOKEN", "302 TOKEN"):
            answer = response(status, b"", "Location: http://127.0.0.1:1/TOKEN", "X-Token: TOKEN")
            yield answer.replace(b"Content-Length: 0", f"Content-Length: {len(body)}".encode()) + said.encode()
        yield b"HTTP/1.1 TOKEN\r\n\r\n"
        yield b"TOKEN TOKEN\r\n\r\n"
        yield b'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{"success": "TOKEN", "endpoint": "TOKEN"}'
        yield b'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{"success": true, "endpoint": "http://TOKEN/"}'


@pytest.fixture
def kafka_security() -> KafkaSecurity:
    return KafkaSecurity(
        protocol="SASL_PLAINTEXT", sasl_username="routekeeper", sasl_password=SecretStr(KAFKA_PASSWORD)
    )


@pytest.fixture
async def gate(tmp_path: Path, kafka_security: KafkaSecurity) -> AsyncIterator[Gate]:
    mechanisms = {"SCRAM-SHA-512": lambda: ScramExchange("routekeeper", KAFKA_PASSWORD, "sha512")}
    async with secured_broker(tmp_path, kafka_security, mechanisms=mechanisms) as gate:
        yield gate


@pytest.fixture
async def proxy() -> AsyncIterator[tuple[TalkativeProxy, str]]:
    proxy = TalkativeProxy()
    async with server_answering(proxy.answer) as address:
        yield proxy, address


@pytest.fixture
def environment(tmp_path: Path, gate: Gate, proxy: tuple[TalkativeProxy, str]) -> dict[str, str]:
    (tmp_path / "targets.yaml").write_text(f"default: {{address: '{proxy[1]}', token: {{env: PROXY_TOKEN}}}}")
    kafka = {
        "BOOTSTRAP_SERVERS": gate.address,
        "IDEMPOTENT_PRODUCERS": "false",
        "SECURITY__PROTOCOL": "SASL_PLAINTEXT",
        "SECURITY__SASL_USERNAME": "routekeeper",
        "SECURITY__SASL_PASSWORD": KAFKA_PASSWORD,
        "CONSUMER__SESSION_TIMEOUT": "1.5",
        "CONSUMER__HEARTBEAT_INTERVAL": "0.3",
        "CONSUMER__REBALANCE_TIMEOUT": "5",
        "CONSUMER__FETCH_MAX_WAIT": "0.04",
        "CONSUMER__ISOLATION_LEVEL": "read_uncommitted",
    }
    return {
        "PROXY_TOKEN": TOKEN,
        "ROUTEKEEPER_PROXY_TARGETS_FILE": str(tmp_path / "targets.yaml"),
        "ROUTEKEEPER_LOG_LEVEL": "DEBUG",
        "ROUTEKEEPER_RETRY__BACKOFF__CAP": "0.05",
        "ROUTEKEEPER_RETRY__PERMANENT_AFTER": "0.05",
        "ROUTEKEEPER_PROXY__LIMITS__FAILURE_THRESHOLD": "100",
        "ROUTEKEEPER_PROXY__SETTLE_SECONDS": "0.1",
        "ROUTEKEEPER_PROXY__LIMITS__SLOT_WAIT_SECONDS": "0.5",
        "ROUTEKEEPER_PROXY__CALL_TIMEOUT_SECONDS": "1",
        **{f"ROUTEKEEPER_KAFKA__{name}": value for name, value in kafka.items()},
    }


@pytest.mark.timeout(120)
async def test_no_secret_is_found_where_it_does_not_belong(
    tmp_path: Path,
    environment: dict[str, str],
    gate: Gate,
    kafka_security: KafkaSecurity,
    proxy: tuple[TalkativeProxy, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A proxy that repeats the token in everything it says, and credentials for Kafka and a database."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings = Settings(data_dir=tmp_path / "data")
    settings.data_dir.mkdir()
    run = runner_for(settings.data_dir)

    async def command_line(*arguments: str) -> str:
        result = await asyncio.to_thread(run, *arguments)
        return f"{result.stdout}{result.stderr}{result.exception!r}"

    await live_a_life(settings, proxy[0], command_line)
    said = {" ".join(line): await command_line(*line) for line in LINES}
    said["describe"] = await command_line("describe", "deployment", NAME)
    monkeypatch.setenv("ROUTEKEEPER_DATABASE__URL", f"postgresql://me:{DATABASE_PASSWORD}@127.0.0.1:1/none")
    monkeypatch.setenv("ROUTEKEEPER_KAFKA__SECURITY__SASL_PASSWORD", f"{KAFKA_PASSWORD}-wrong")
    troubled = [await command_line(*line) for line in (("config",), ("doctor",), ("init",), ("get", "deployments"))]
    monkeypatch.setenv("ROUTEKEEPER_KAFKA__SECURITY__SASL_PASSWROD", KAFKA_PASSWORD)
    troubled.append(await command_line("config"))

    kafka = KafkaConnection(bootstrap_servers=gate.address, security=kafka_security)
    places = {
        "records": await all_records(kafka, Topics()),
        "log": (settings.data_dir / "worker.log").read_bytes(),
        "events": contents(settings.data_dir, "events.db"),
        "views": contents(settings.data_dir, "views.db"),
        **{name: text.encode() for name, text in said.items()},
        "troubled": "\n".join(troubled).encode(),
    }
    assert proxy[0].tokens == {TOKEN}
    assert gate.principals["routekeeper"] > 0
    assert [name for name, found in places.items() if CANARY.encode() in found] == []
    telling = ("records", "events", "views", "describe", "get deployments --all", "history sparrow -o json")
    assert [name for name in telling if NAME.encode() not in places[name]] == []
    assert b"Worker is up" in places["log"]
    assert b"answered 401 ***" in places["events"]
    assert b"authentication failed" in places["troubled"]


async def live_a_life(settings: Settings, proxy: TalkativeProxy, command_line: CommandLine) -> None:
    """Let a worker create and destroy a deployment against the proxy's resistance."""
    await command_line("init")
    worker = WorkerProcess(settings, settings.data_dir / "worker.log", print)
    running = asyncio.create_task(worker.run())
    try:
        deployment_id = uuid4()
        image = ("--image", "vllm:0.9", "--model", "llama", "--replicas", "0")
        audience = Audience(settings, patience=60)
        assert "CreateDeployment is" in await command_line("send", "create", NAME, *image, "--id", str(deployment_id))
        await audience.until(deployment_id, lambda row: row.lifecycle is Lifecycle.READY)
        await command_line("send", "destroy", str(deployment_id))
        async with asyncio.timeout(60):
            await proxy.has_deleted.wait()
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def all_records(kafka: KafkaConnection, topics: Topics) -> bytes:
    """Everything that is in any topic."""
    consumer = AIOKafkaConsumer(*topics.all, auto_offset_reset="earliest", **kafka.client_options())
    await consumer.start()
    found = []
    try:
        while batch := await consumer.getmany(timeout_ms=1000):
            for records in batch.values():
                found += [f"{record.key!r} {record.value!r} {record.headers!r}" for record in records]
    finally:
        await consumer.stop()
    return "\n".join(found).encode()


def contents(folder: Path, name: str) -> bytes:
    """A database's file, with those beside it."""
    return b"".join(file.read_bytes() for file in sorted(folder.glob(f"{name}*")))
