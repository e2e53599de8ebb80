"""The export of traces, set up by OpenTelemetry's standard environment variables and nothing else."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry.trace import Tracer

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


def wants_export(environment: Mapping[str, str]) -> bool:
    """Whether somebody has said where traces go: an OTLP endpoint, or ``OTEL_TRACES_EXPORTER=otlp``."""
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    exporter = environment.get("OTEL_TRACES_EXPORTER", "")
    return exporter == "otlp" or (not exporter and any(environment.get(name) for name in _ENDPOINTS))


@contextmanager
def exported_traces() -> Iterator[Tracer | None]:
    """Give a tracer whose spans are sent by OTLP over HTTP, and send the last of them at the end; or ``None``.

    Sending happens in a thread of its own, in batches; what does not get through is dropped.
    """
    environment = os.environ
    if not wants_export(environment):
        yield None
        return
    # Only who exports has to wait for these imports.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - as said
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - as said
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - as said
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - as said

    is_named = "OTEL_SERVICE_NAME" in environment or "service.name=" in environment.get("OTEL_RESOURCE_ATTRIBUTES", "")
    resource = Resource.create({} if is_named else {"service.name": "routekeeper"})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    try:
        yield provider.get_tracer("routekeeper")
    finally:
        provider.shutdown()
