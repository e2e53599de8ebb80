"""A client as anybody could write one: all it does is produce records to Kafka."""

from collections.abc import Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Self
from uuid import UUID, uuid4

from aiokafka import AIOKafkaProducer

from adapters.kafka.connection import KafkaConnection
from adapters.kafka.encoding import encode_command, encode_metrics
from adapters.kafka.topics import Topics
from domain.autoscaling.rules import MetricSource
from domain.autoscaling.samples import MetricSample, MetricsReport
from domain.commands import ExternalCommand

_SOURCE = "/demo"


class DemoClient:
    """Sends commands and samples; each call returns when the broker has the record."""

    def __init__(self, connection: KafkaConnection, topics: Topics) -> None:
        self._producer = AIOKafkaProducer(acks="all", **connection.client_options())
        self._topics = topics

    async def __aenter__(self) -> Self:
        await self._producer.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._producer.stop()

    async def command(self, command: ExternalCommand) -> None:
        """Send a command."""
        record = encode_command(command, source=_SOURCE, id=str(uuid4()), actor="demo", time=datetime.now(UTC))
        await self.raw(record.key, record.value)

    async def raw(self, key: bytes | None, value: bytes) -> None:
        """Send anything to the commands topic."""
        await self._producer.send_and_wait(self._topics.commands, value, key=key)

    async def samples(self, deployment_id: UUID, metric: str, values: Mapping[UUID, float]) -> None:
        """Send one sample of ``metric`` (its own unit) for each of these routes."""
        now = datetime.now(UTC)
        samples = tuple(
            MetricSample(source=MetricSource.KERNEL, metric=metric, value=value, at=now, route_id=route_id)
            for route_id, value in values.items()
        )
        report = MetricsReport(deployment_id=deployment_id, samples=samples)
        record = encode_metrics(report, source=_SOURCE, id=str(uuid4()), time=now)
        await self._producer.send_and_wait(self._topics.metrics, record.value, key=record.key)
