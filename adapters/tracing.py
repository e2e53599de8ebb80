"""Traces: what was decided and which app proxies were called because of it, and the headers that carry a trace on.

Without a tracer nothing is recorded, and a trace that came with a record is handed on as it came.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from domain.recorded import RecordCause, RecordedEvent
from domain.trace import TraceContext
from handlers.client_session import ClientPool, ClientResponse, ClientSession
from handlers.commit import Commit
from handlers.log_context import concerned
from handlers.traces import TraceOf

_PROPAGATOR = TraceContextTextMapPropagator()

#: From this status on (HTTP) a call has failed.
_FIRST_ERROR = 400


class DecisionSpans:
    """Tells a tracer of every record with a trace that changed a deployment; listens to commits."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def __call__(self, commit: Commit) -> None:
        told: set[int] = set()
        for recorded in commit.events:
            cause = recorded.cause
            if isinstance(cause, RecordCause) and cause.trace is not None and id(cause) not in told:
                told.add(id(cause))
                self._tell(recorded, cause, cause.trace)

    def _tell(self, recorded: RecordedEvent, cause: RecordCause, trace: TraceContext) -> None:
        started = _nanoseconds(recorded.event.at)
        span = self._tracer.start_span(
            f"decide {cause.type}",
            context=_context(trace),
            kind=SpanKind.CONSUMER,
            attributes={
                "messaging.system": "kafka",
                "messaging.destination.name": cause.topic,
                "messaging.destination.partition.id": str(cause.partition),
                "messaging.kafka.offset": cause.offset,
                "routekeeper.deployment_id": str(recorded.stream_id),
                "routekeeper.event_id": recorded.event_id,
            },
            start_time=started,
        )
        # The clock may have been set back since the decision.
        span.end(max(time.time_ns(), started))


class TracedClientPool:
    """Gives sessions whose calls carry the trace of the deployment that they are made for."""

    def __init__(self, pool: ClientPool, trace_of: TraceOf, tracer: Tracer | None) -> None:
        self._pool = pool
        self._trace_of = trace_of
        self._tracer = tracer

    def load_client_session(self) -> ClientSession:
        return _TracedSession(self._pool.load_client_session(), self._trace_of, self._tracer)


class _TracedSession:
    def __init__(self, session: ClientSession, trace_of: TraceOf, tracer: Tracer | None) -> None:
        self._session = session
        self._trace_of = trace_of
        self._tracer = tracer

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        json: Any = None,  # noqa: ANN401 - whatever JSON can express
        timeout: float | None = None,  # noqa: ASYNC109 - the name and place it has in httpx
    ) -> ClientResponse:
        deployment_id = concerned().get("deployment_id")
        trace = self._trace_of(deployment_id) if isinstance(deployment_id, UUID) else None
        with self._calling(method, url, trace) as (span, carried):
            answer = await self._session.request(
                method, url, headers=_with(headers, carried), json=json, timeout=timeout
            )
            if span is not None:
                span.set_attribute("http.response.status_code", answer.status_code)
                if answer.status_code >= _FIRST_ERROR:
                    span.set_status(Status(StatusCode.ERROR))
            return answer

    @contextmanager
    def _calling(
        self, method: str, url: str, trace: TraceContext | None
    ) -> Iterator[tuple[Span | None, Mapping[str, str]]]:
        if self._tracer is None:
            yield None, trace.headers() if trace else {}
            return
        facts = {f"routekeeper.{name}": str(fact) for name, fact in concerned().items() if name != "trace_id"}
        parts = urlsplit(url)
        with self._tracer.start_as_current_span(
            f"{method} {parts.hostname}",
            context=_context(trace),
            kind=SpanKind.CLIENT,
            attributes={"http.request.method": method, "server.address": parts.netloc, "url.path": parts.path, **facts},
            # What an exception says stays out of the trace: it may repeat what an app proxy answered.
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            carried: dict[str, str] = {}
            _PROPAGATOR.inject(carried)
            try:
                yield span, carried
            except Exception as error:
                span.set_status(Status(StatusCode.ERROR, type(error).__name__))
                raise


def _with(headers: Mapping[str, str], carried: Mapping[str, str]) -> Mapping[str, str]:
    """Add headers without losing that kind of mapping which does not show the token."""
    if carried and isinstance(headers, dict):
        headers.update(carried)
    return headers


def _context(trace: TraceContext | None) -> Context:
    return _PROPAGATOR.extract(trace.headers() if trace else {}, Context())


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000) * 1_000
