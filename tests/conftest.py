"""What tests of several packages share: a real Kafka broker and a real PostgreSQL."""

import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from uuid import uuid4

import psycopg
import pytest
import pytest_asyncio
from sqlalchemy import make_url

from adapters.kafka.connection import KafkaConnection
from adapters.kafka.consumer_settings import ConsumerSettings
from adapters.kafka.topics import Topics, ensure_topics
from tests.backing_services import RunningKafka, in_words, kafka_broker, kafka_source, postgres_server


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are processors: many tests wait for a broker, and the run takes a fifth less time."""
    return (os.cpu_count() or 1) + 1


def pytest_report_header() -> str:
    return in_words()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """``-m kafka`` picks what runs against the broker of the test run, so that it can be run against another one."""
    for item in items:
        if "running_kafka" in getattr(item, "fixturenames", ()):
            item.add_marker("kafka")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def running_kafka(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningKafka]:
    """The broker of the test run."""
    async with kafka_broker(tmp_path_factory.mktemp("broker")) as running:
        yield running


@pytest.fixture(scope="session")
def kafka_connection(running_kafka: RunningKafka) -> KafkaConnection:
    """How to reach the broker of the test run."""
    return running_kafka.connection


@pytest.fixture(params=["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def kafka_with_credentials(running_kafka: RunningKafka, request: pytest.FixtureRequest) -> KafkaConnection:
    """The same broker where it asks for credentials, by each mechanism; skips where it asks nobody."""
    if running_kafka.connection_with is None:
        pytest.skip("the broker of this test run asks nobody for credentials; make test-apache-kafka")
    return running_kafka.connection_with(request.param)


@pytest.fixture
def kafka(kafka_connection: KafkaConnection) -> KafkaConnection:
    """A connection to the broker of the test run."""
    return kafka_connection


@pytest.fixture
def consumer_settings() -> ConsumerSettings:
    """Settings that join fast at the broker of the test run, in a consumer group of the test's own."""
    settings = ConsumerSettings(group=f"test-{uuid4()}", session_timeout=6.0, heartbeat_interval=1.0)
    if kafka_source() != "wheel":
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
    """Where the PostgreSQL of the test run answers."""
    with postgres_server() as url:
        yield url


@pytest.fixture
def postgres_database(postgres_url: str) -> Iterator[str]:
    """The address of a PostgreSQL database of the test's own, empty."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        yield make_url(postgres_url).set(database=name).render_as_string(hide_password=False)
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
