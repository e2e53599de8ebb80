"""The handlers' telemetry as Prometheus metrics, in a registry of their own."""

from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from domain.operations import Operation
from handlers.proxy_address import proxy_base_url
from handlers.telemetry import CommitReport

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_SLOW = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0)
_COUNTS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


@lru_cache(maxsize=1024)
def host_of(address: str) -> str:
    """The host and port of an app proxy's address, which is all that a label shows of it."""
    return urlsplit(proxy_base_url(address)).netloc


class PrometheusTelemetry:
    """Implements :class:`handlers.telemetry.Telemetry`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._records = Counter(
            "routekeeper_records",
            "Records whose effect is committed, by topic and result (accepted or rejected).",
            ["topic", "result"],
            registry=registry,
        )
        self._rejected = Counter(
            "routekeeper_records_rejected", "Refused records, by topic and code.", ["topic", "code"], registry=registry
        )
        self._foreign = Counter(
            "routekeeper_records_in_foreign_partitions",
            "Records in partitions that their keys do not belong to: their sender has another partitioner.",
            ["topic"],
            registry=registry,
        )
        self._batch_size = Histogram(
            "routekeeper_commit_batch_items",
            "Records and own commands decided in one commit.",
            buckets=_COUNTS,
            registry=registry,
        )
        self._skew = Gauge(
            "routekeeper_sample_clock_skew_seconds",
            "By how much the newest metric sample is ahead of the worker's clock; below zero: behind.",
            registry=registry,
        )
        self._append_seconds = Histogram(
            "routekeeper_commit_seconds",
            "How long transactions of the event log took, failed ones included.",
            buckets=_FAST,
            registry=registry,
        )
        self._append_failures = Counter(
            "routekeeper_commit_failures",
            "Transactions of the event log that failed and were tried again, by reason.",
            ["reason"],
            registry=registry,
        )
        self._events = Counter("routekeeper_events_appended", "Events appended to the log.", registry=registry)
        self._operations = Counter(
            "routekeeper_operations",
            "Deployments that an operation was run for, by outcome (succeeded, failed or skipped).",
            ["operation", "outcome"],
            registry=registry,
        )
        self._operation_seconds = Histogram(
            "routekeeper_operation_seconds",
            "How long runs of an operation took.",
            ["operation"],
            buckets=_SLOW,
            registry=registry,
        )
        self._proxy_seconds = Histogram(
            "routekeeper_proxy_call_seconds",
            "How long calls to app proxies took, by host and outcome; the wait for their turn included.",
            ["target", "outcome"],
            buckets=_SLOW,
            registry=registry,
        )

    def committed(self, report: CommitReport) -> None:
        self._batch_size.observe(report.items)
        for topic, count in report.accepted.items():
            self._records.labels(topic, "accepted").inc(count)
        for (topic, code), count in report.rejected.items():
            self._records.labels(topic, "rejected").inc(count)
            self._rejected.labels(topic, code).inc(count)
        for topic, count in report.foreign.items():
            self._foreign.labels(topic).inc(count)
        if report.sample_skew_seconds is not None:
            self._skew.set(report.sample_skew_seconds)

    def append_ended(self, seconds: float, events: int, failure: str | None) -> None:
        self._append_seconds.observe(seconds)
        if failure is None:
            self._events.inc(events)
        else:
            self._append_failures.labels(failure).inc()

    def operation_ended(self, operation: Operation, seconds: float, outcomes: Mapping[str, int]) -> None:
        self._operation_seconds.labels(operation).observe(seconds)
        for outcome, count in outcomes.items():
            self._operations.labels(operation, outcome).inc(count)

    def proxy_call_ended(self, address: str, outcome: str, seconds: float) -> None:
        self._proxy_seconds.labels(host_of(address), outcome).observe(seconds)
