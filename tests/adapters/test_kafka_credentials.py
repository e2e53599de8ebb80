"""A broker that asks who is there, by PLAIN and SCRAM."""

from dataclasses import replace

import pytest
from aiokafka.errors import KafkaError
from pydantic import SecretStr

from adapters.kafka.connection import KafkaConnection
from adapters.kafka.consumer_settings import ConsumerSettings
from adapters.kafka.topics import Topics
from tests.kafka_support import RecordingHandler, consuming, producing


async def test_who_has_credentials_produces_and_consumes(
    kafka_with_credentials: KafkaConnection, topics: Topics, consumer_settings: ConsumerSettings
) -> None:
    handler = RecordingHandler()
    async with producing(kafka_with_credentials) as producer:
        await producer.send_and_wait(topics.commands, b"known", partition=0)
    async with consuming(handler, kafka_with_credentials, topics, consumer_settings):
        await handler.until(values=1)

    assert handler.values == [b"known"]


async def test_who_has_the_wrong_password_gets_an_error_and_shows_it_to_nobody(
    kafka_with_credentials: KafkaConnection,
) -> None:
    stranger = replace(
        kafka_with_credentials,
        security=replace(kafka_with_credentials.security, sasl_password=SecretStr("a-wrong-canary")),
    )
    with pytest.raises(KafkaError) as refusal:
        async with producing(stranger):
            pass

    assert "a-wrong-canary" not in f"{refusal.value!r}{stranger!r}"
