"""Which trace a deployment's work belongs to: that of the latest record that changed it."""

from collections.abc import Callable, Iterable
from uuid import UUID

from domain.recorded import OperationCause, RecordedEvent
from domain.trace import TraceContext

#: Most deployments whose trace is remembered (count).
_MOST = 10_000


#: Which trace a deployment's work belongs to, if it is known.
TraceOf = Callable[[UUID], TraceContext | None]


def no_trace(_deployment_id: UUID) -> TraceContext | None:
    """Nothing is known of traces."""
    return None


class LatestTraces:
    """Remembers traces in memory only: after a restart, or for a deployment too many, work begins without one."""

    def __init__(self, size: int = _MOST) -> None:
        self._size = size
        self._traces: dict[UUID, TraceContext] = {}

    def of(self, deployment_id: UUID) -> TraceContext | None:
        """The trace of the latest record that changed the deployment, if it had one."""
        return self._traces.get(deployment_id)

    def cause(self, operation: str, deployment_id: UUID) -> OperationCause:
        """What to say of a command that ``operation`` led to."""
        return OperationCause(operation=operation, trace=self.of(deployment_id))

    def note(self, events: Iterable[RecordedEvent]) -> None:
        """Remember the traces that led to events; an event without one leaves what is known."""
        for recorded in events:
            trace = recorded.cause.trace
            if trace is not None:
                self._traces.pop(recorded.stream_id, None)
                self._traces[recorded.stream_id] = trace
                if len(self._traces) > self._size:
                    del self._traces[next(iter(self._traces))]
