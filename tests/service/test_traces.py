"""A trace that comes with a command goes on: to the app proxy, into the log, to whoever reads what is published."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from adapters.kafka.connection import KafkaConnection
from adapters.kafka.consumer_settings import ConsumerSettings
from adapters.kafka.topics import Topics
from domain.revision import Revision
from service.admin.server import serving
from service.kafka_access import KafkaAccess
from service.settings import AdminSettings, KafkaSettings, Settings
from service.tracing import wants_export
from tests.kafka_support import command_record, producing, read_all
from tests.running_worker import creation, free_port, running_worker

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE_ID}-00f067aa0ba902b7-01"


class Neighbours:
    """An app proxy that is called, and a collector that spans are sent to; both keep what they are sent."""

    def __init__(self) -> None:
        self.port = free_port()
        self.traceparents: list[str] = []
        self.tracestates: list[str] = []
        self.spans: dict[str, str] = {}
        self.attributes: set[str] = set()

    @asynccontextmanager
    async def up(self) -> AsyncIterator[None]:
        """Answer calls within the block."""
        routes = [
            Route("/v2/endpoints/{id}", self._create, methods=["POST"]),
            Route("/v1/traces", self._collect, methods=["POST"]),
        ]
        async with serving(AdminSettings(port=self.port), lambda: Starlette(routes=routes)):
            yield

    async def _create(self, request: Request) -> Response:
        self.traceparents.append(request.headers.get("traceparent", ""))
        self.tracestates.append(request.headers.get("tracestate", ""))
        return JSONResponse({"success": True, "endpoint": "http://proxy.example/llama"})

    async def _collect(self, request: Request) -> Response:
        sent = ExportTraceServiceRequest.FromString(await request.body())
        for resource in sent.resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    self.spans[span.name] = span.trace_id.hex()
                    self.attributes |= {f"{each.key}={each.value.string_value}" for each in span.attributes}
        return Response(b"", media_type="application/x-protobuf")


async def follow_one_create(
    neighbours: Neighbours, folder: Path, kafka: KafkaConnection, topics: Topics, consumer: ConsumerSettings
) -> list[dict[str, str]]:
    """Have a deployment created by a traced record, and give the headers of what was published of it."""
    targets = folder / "targets.yaml"
    targets.write_text(
        json.dumps({"nowhere": {"address": f"127.0.0.1:{neighbours.port}", "token": {"value": "a-token-for-tests"}}})
    )
    settings = Settings(data_dir=folder, kafka=KafkaSettings(topics=topics), proxy_targets_file=targets)
    create = creation(uuid4()).model_copy(
        update={"target_revision": Revision(revision_id=uuid4(), image="image", model="model"), "replica_count": 0}
    )
    record = command_record(create)
    headers = [("traceparent", TRACEPARENT.encode()), ("tracestate", b"vendor=1")]
    access = KafkaAccess(connection=kafka, epoch="1", consumer=consumer)
    async with neighbours.up(), running_worker(settings, access) as running, producing(kafka) as producer:
        await running.until_ready()
        await producer.send_and_wait(topics.commands, record.value, key=record.key, headers=headers)
        published = await read_all(kafka, topics.events, 3)
    return [{name: value.decode() for name, value in each.headers} for each in published]


async def test_without_an_exporter_a_trace_is_handed_on_as_it_came(
    tmp_path: Path, kafka: KafkaConnection, topics: Topics, consumer_settings: ConsumerSettings
) -> None:
    neighbours = Neighbours()

    published = await follow_one_create(neighbours, tmp_path, kafka, topics, consumer_settings)

    assert neighbours.traceparents == [TRACEPARENT]
    assert neighbours.tracestates == ["vendor=1"]
    assert len(published) >= 3
    assert {(headers["traceparent"], headers["tracestate"]) for headers in published} == {(TRACEPARENT, "vendor=1")}
    assert neighbours.spans == {}


async def test_with_an_exporter_decisions_and_calls_are_spans_of_the_senders_trace(
    tmp_path: Path,
    kafka: KafkaConnection,
    topics: Topics,
    consumer_settings: ConsumerSettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The collector and the app proxy see the same trace; nobody sees the token."""
    neighbours = Neighbours()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{neighbours.port}")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")

    await follow_one_create(neighbours, tmp_path, kafka, topics, consumer_settings)

    assert neighbours.spans["decide routekeeper.deployment.create.v1"] == TRACE_ID
    assert neighbours.spans["POST 127.0.0.1"] == TRACE_ID
    [traceparent] = neighbours.traceparents
    assert traceparent.startswith(f"00-{TRACE_ID}-")
    assert traceparent != TRACEPARENT
    assert "routekeeper.operation=check_pending_deployments" in neighbours.attributes
    assert not any("a-token-for-tests" in each for each in neighbours.attributes)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, False),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, False),
    ],
)
def test_traces_are_exported_only_where_the_environment_says_where_to(
    environment: dict[str, str], *, expected: bool
) -> None:
    assert wants_export(environment) is expected
