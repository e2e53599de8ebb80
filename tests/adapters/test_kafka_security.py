"""Every kind of client gets through a listener with TLS and SASL, and is told plainly why where it does not."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest
import trustme
from pydantic import SecretStr

from adapters.kafka.connection import KafkaConnection
from adapters.kafka.consumer_settings import ConsumerSettings
from adapters.kafka.producer_session import ProducerSession
from adapters.kafka.security import KafkaSecurity, SaslMechanism
from adapters.kafka.topics import KafkaRefusesUs, KafkaUnavailable, Topics, check_copartitioning, ensure_topics
from service.cli.sending import produce
from tests.kafka_support import RecordingHandler, consuming, replica_command
from tests.sasl_servers import PlainExchange, SaslExchange, ScramExchange
from tests.secured_kafka import INIT_PRODUCER_ID, Certificates, Gate, secured_broker

PASSWORD = "canary-5be1,=\N{SNOWMAN}"
MECHANISMS: dict[str, Callable[[], SaslExchange]] = {
    "PLAIN": lambda: PlainExchange("mina", PASSWORD),
    "SCRAM-SHA-256": lambda: ScramExchange("mina", PASSWORD, "sha256"),
    "SCRAM-SHA-512": lambda: ScramExchange("mina", PASSWORD, "sha512"),
}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(trustme.CA(), tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def mutual(certificates: Certificates) -> KafkaSecurity:
    """TLS with a certificate of our own."""
    certificate, key = certificates.client_files()
    return KafkaSecurity(protocol="SSL", ca_file=certificates.ca_file, certificate_file=certificate, key_file=key)


@pytest.fixture
async def tls_gate(tmp_path: Path, certificates: Certificates, mutual: KafkaSecurity) -> AsyncIterator[Gate]:
    context = certificates.server_context(wants_client_certificates=True)
    async with secured_broker(tmp_path, mutual, tls=context) as gate:
        yield gate


@pytest.fixture
def sasl(certificates: Certificates) -> KafkaSecurity:
    return KafkaSecurity(
        protocol="SASL_SSL", ca_file=certificates.ca_file, sasl_username="mina", sasl_password=SecretStr(PASSWORD)
    )


@pytest.fixture
async def sasl_gate(tmp_path: Path, certificates: Certificates, sasl: KafkaSecurity) -> AsyncIterator[Gate]:
    context = certificates.server_context(wants_client_certificates=False)
    async with secured_broker(tmp_path, sasl, tls=context, mechanisms=MECHANISMS) as gate:
        yield gate


async def use_every_client(kafka: KafkaConnection, topics: Topics) -> None:
    """Make topics, send a command as the command line does, consume it in a group, and use a lasting producer."""
    await ensure_topics(kafka, topics)
    assert await check_copartitioning(kafka, topics) == topics.partitions
    await produce(replica_command(), topics.commands, kafka)
    session = ProducerSession(kafka)
    await (await session.producer()).send_and_wait(topics.commands, b"lasting")
    await session.close()
    handler = RecordingHandler()
    settings = replace(ConsumerSettings().for_embedded_broker(), session_timeout=1.0, heartbeat_interval=0.2)
    async with consuming(handler, kafka, topics, settings):
        await handler.until(values=2)


async def test_every_client_gets_through_tls_with_a_certificate_of_its_own(
    tls_gate: Gate, mutual: KafkaSecurity
) -> None:
    kafka = KafkaConnection(bootstrap_servers=tls_gate.address, security=mutual)

    await use_every_client(kafka, Topics(partitions=1))

    assert set(tls_gate.principals) == {"client"}
    assert tls_gate.acks == {-1}


async def test_every_client_authenticates_itself_by_sasl(sasl_gate: Gate, sasl: KafkaSecurity) -> None:
    kafka = KafkaConnection(bootstrap_servers=sasl_gate.address, security=sasl)

    await use_every_client(kafka, Topics(partitions=1))

    assert set(sasl_gate.principals) == {"mina"}


@pytest.mark.parametrize("mechanism", sorted(MECHANISMS))
async def test_a_password_by_file_is_read_and_proves_who_we_are(
    sasl_gate: Gate, sasl: KafkaSecurity, mechanism: SaslMechanism, tmp_path: Path
) -> None:
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\n")
    security = replace(sasl, sasl_mechanism=mechanism, sasl_password=None, sasl_password_file=file)

    await ensure_topics(KafkaConnection(bootstrap_servers=sasl_gate.address, security=security), Topics())

    assert sasl_gate.principals["mina"] >= 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sasl_password": SecretStr("wrong-canary")}, "authentication failed"),
        ({"sasl_mechanism": "SCRAM-SHA-256", "sasl_username": "nobody"}, "authentication failed"),
        ({"ca_file": None}, "the broker's certificate was not accepted"),
    ],
)
async def test_a_listener_that_does_not_let_us_in_is_an_error_that_says_why_at_once(
    sasl_gate: Gate, sasl: KafkaSecurity, change: dict[str, object], said: str
) -> None:
    kafka = KafkaConnection(bootstrap_servers=sasl_gate.address, security=replace(sasl, **change))  # type: ignore[arg-type] # parametrized

    with pytest.raises(KafkaRefusesUs, match=said) as refused:
        await ensure_topics(kafka, Topics())

    assert sasl_gate.address in str(refused.value)
    assert "canary" not in str(refused.value)


async def test_who_has_no_certificate_is_told_that_the_broker_may_want_one(
    tls_gate: Gate, certificates: Certificates
) -> None:
    security = KafkaSecurity(protocol="SSL", ca_file=certificates.ca_file)
    kafka = KafkaConnection(bootstrap_servers=tls_gate.address, security=security)

    with pytest.raises(KafkaUnavailable, match="does the listener speak SSL and take us without a certificate"):
        await ensure_topics(kafka, Topics(), give_up_after=1)


async def test_in_production_producers_ask_for_idempotence(tls_gate: Gate, mutual: KafkaSecurity) -> None:
    """A producer asks the broker for its number; the embedded broker answers with an error, so it gets no further."""
    kafka = KafkaConnection(bootstrap_servers=tls_gate.address, security=mutual, has_idempotent_producers=True)
    session = ProducerSession(kafka)

    starting = asyncio.create_task(session.producer())
    async with asyncio.timeout(20):
        while not tls_gate.requests[INIT_PRODUCER_ID]:  # noqa: ASYNC110 - the gate tells nobody
            await asyncio.sleep(0.02)
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
