"""What a worker is like at a moment, as Prometheus gauges."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Gauge

from adapters.metrics.telemetry import host_of
from domain.deployment import Lifecycle
from handlers.circuit_breaker import BreakerState
from handlers.proxy_calls import ProxyTargetSnapshot
from handlers.records import PartitionId


@dataclass(frozen=True, slots=True)
class Lag:
    """How far a follower is behind the log: events (count), and seconds since the next of them was decided."""

    events: int
    seconds: float


class WorkerGauges:
    """Gauges that are set as a whole, so that what is over does not stay behind."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, what: str, *labels: str) -> Gauge:
            return Gauge(f"routekeeper_{name}", what, labels, registry=registry)

        self.ready = gauge("ready", "Whether the worker is ready (1 or 0).")
        self.paused = gauge("consumption_paused", "Whether reading is paused as nothing can be committed (1 or 0).")
        self.halted = gauge("halted", "What is halted by events of unknown types.", "what")
        self.paused_deployments = gauge("paused_deployments", "Deployments with due work that a pause holds back.")
        self.queued = gauge("reconcile_queue_deployments", "Deployments that are due now or later.")
        self.overdue = gauge("reconcile_queue_overdue_seconds", "For how long the one due first has been due.")
        self.log_position = gauge("event_log_position", "Position of the last event in the log.")
        self._consumer_lag = gauge(
            "consumer_lag_records",
            "Records of a partition of this worker that are not committed yet.",
            "topic",
            "partition",
        )
        self._circuits = gauge(
            "proxy_circuit_state", "Whether the circuit to an app proxy is in this state (1 or 0).", "target", "state"
        )
        self._view_events = gauge("projection_lag_events", "Events that a view has not folded yet.", "view")
        self._view_seconds = gauge("projection_lag_seconds", "Age of the first event not folded yet.", "view")
        self._publisher_events = gauge("publisher_lag_events", "Events that are not published yet.")
        self._publisher_seconds = gauge("publisher_lag_seconds", "Age of the first event not published yet.")
        self._deployments = gauge("deployments", "Deployments by lifecycle, as the views have them.", "lifecycle")

    def set_consumer_lags(self, lags: Mapping[PartitionId, int]) -> None:
        """Show these partitions and no others."""
        self._consumer_lag.clear()
        for origin, lag in lags.items():
            self._consumer_lag.labels(origin.topic, origin.partition).set(lag)

    def set_circuits(self, targets: Sequence[ProxyTargetSnapshot]) -> None:
        """Show each app proxy that was called."""
        for target in targets:
            for state in BreakerState:
                self._circuits.labels(host_of(target.address), state).set(target.breaker is state)

    def set_view_lags(self, lags: Mapping[str, Lag]) -> None:
        """Show these views and no others."""
        self._view_events.clear()
        self._view_seconds.clear()
        for view, lag in lags.items():
            self._view_events.labels(view).set(lag.events)
            self._view_seconds.labels(view).set(lag.seconds)

    def set_publisher_lag(self, lag: Lag) -> None:
        """Show how far publishing is behind."""
        self._publisher_events.set(lag.events)
        self._publisher_seconds.set(lag.seconds)

    def set_deployments(self, counts: Mapping[Lifecycle, int]) -> None:
        """Show how many deployments there are in each part of their life."""
        for lifecycle in Lifecycle:
            self._deployments.labels(lifecycle).set(counts.get(lifecycle, 0))
