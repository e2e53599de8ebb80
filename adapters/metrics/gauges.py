"""What a process is like at a moment, as Prometheus gauges."""

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


class ProcessGauges:
    """What is told of every process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.ready = _gauge(registry, "ready", "Whether the process is ready (1 or 0).")
        self.halted = _gauge(registry, "halted", "What is halted by events of unknown types.", "what")
        self.log_position = _gauge(registry, "event_log_position", "Position of the last event in the log.")


class DecidingGauges:
    """What is told of a process that reads records, decides and acts."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.paused = _gauge(
            registry, "consumption_paused", "Whether reading is paused as nothing can be committed (1 or 0)."
        )
        self.paused_deployments = _gauge(
            registry, "paused_deployments", "Deployments with due work that a pause holds back."
        )
        self.queued = _gauge(registry, "reconcile_queue_deployments", "Deployments that are due now or later.")
        self.overdue = _gauge(
            registry, "reconcile_queue_overdue_seconds", "For how long the one due first has been due."
        )
        self._consumer_lag = _gauge(
            registry,
            "consumer_lag_records",
            "Records of a partition of this worker that are not committed yet.",
            "topic",
            "partition",
        )
        self._circuits = _gauge(
            registry,
            "proxy_circuit_state",
            "Whether the circuit to an app proxy is in this state (1 or 0).",
            "target",
            "state",
        )

    def set_consumer_lags(self, lags: Mapping[PartitionId, int]) -> None:
        """Show these partitions and no others, so that what is over does not stay behind."""
        self._consumer_lag.clear()
        for origin, lag in lags.items():
            self._consumer_lag.labels(origin.topic, origin.partition).set(lag)

    def set_circuits(self, targets: Sequence[ProxyTargetSnapshot]) -> None:
        """Show each app proxy that was called."""
        for target in targets:
            for state in BreakerState:
                self._circuits.labels(host_of(target.address), state).set(target.breaker is state)


class FollowingGauges:
    """What is told of a process that follows the log."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._view_events = _gauge(registry, "projection_lag_events", "Events that a view has not folded yet.", "view")
        self._view_seconds = _gauge(
            registry, "projection_lag_seconds", "Age of the first event not folded yet.", "view"
        )
        self._publisher_events = _gauge(registry, "publisher_lag_events", "Events that are not published yet.")
        self._publisher_seconds = _gauge(registry, "publisher_lag_seconds", "Age of the first event not published yet.")
        self._deployments = _gauge(
            registry, "deployments", "Deployments by lifecycle, as the views have them.", "lifecycle"
        )

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


def _gauge(registry: CollectorRegistry, name: str, what: str, *labels: str) -> Gauge:
    return Gauge(f"routekeeper_{name}", what, labels, registry=registry)
