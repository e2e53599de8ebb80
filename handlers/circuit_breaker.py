"""A circuit breaker: leaves a failing peer alone for a while, then asks it once."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class BreakerState(StrEnum):
    """CLOSED lets every call through, OPEN none, HALF_OPEN one: the probe that decides between the other two."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


@dataclass(frozen=True, slots=True)
class Admission:
    """Leave to make one call; ``epoch`` says under which state of the breaker it was given."""

    epoch: int


class CircuitBreaker:
    """Opens after ``failure_threshold`` failures in a row (count), for ``open_seconds``; makes no calls itself.

    What happened to a call is reported with the admission it was made under. A report from before the last change of
    state is too old to say anything about the peer now, and is ignored.
    """

    def __init__(self, *, failure_threshold: int, open_seconds: float, monotonic: Callable[[], float]) -> None:
        self._failure_threshold = failure_threshold
        self._open_seconds = open_seconds
        self._monotonic = monotonic
        self._state = BreakerState.CLOSED
        self._epoch = 0
        self._failures = 0
        self._half_open_at = 0.0
        self._probing = False

    @property
    def state(self) -> BreakerState:
        """The state at this moment; an open breaker turns half-open by the passing of time alone."""
        if self._state is BreakerState.OPEN and self._monotonic() >= self._half_open_at:
            self._enter(BreakerState.HALF_OPEN)
        return self._state

    @property
    def consecutive_failures(self) -> int:
        """How many calls have failed in a row (count)."""
        return self._failures

    @property
    def refuses_calls(self) -> bool:
        """Whether a call would be refused now."""
        return self.state is BreakerState.OPEN or self._probing

    @property
    def retry_after(self) -> float:
        """How long calls are refused for certain (seconds); 0 while only the probe's answer is awaited."""
        return max(0.0, self._half_open_at - self._monotonic()) if self.state is BreakerState.OPEN else 0.0

    def admit(self) -> Admission | None:
        """Give leave for one call, or ``None``; the leave must be given back by one of the three methods below."""
        if self.refuses_calls:
            return None
        self._probing = self._state is BreakerState.HALF_OPEN
        return Admission(self._epoch)

    def succeeded(self, admission: Admission) -> None:
        """Report that the peer served the call."""
        if admission.epoch != self._epoch:
            return
        self._failures = 0
        if self._state is not BreakerState.CLOSED:
            self._enter(BreakerState.CLOSED)

    def failed(self, admission: Admission) -> None:
        """Report that the peer did not serve the call."""
        if admission.epoch != self._epoch:
            return
        self._failures += 1
        if self._state is BreakerState.HALF_OPEN or self._failures >= self._failure_threshold:
            self._half_open_at = self._monotonic() + self._open_seconds
            self._enter(BreakerState.OPEN)

    def abandoned(self, admission: Admission) -> None:
        """Report that the caller went away, which says nothing about the peer; the next call may probe."""
        if admission.epoch == self._epoch:
            self._probing = False

    def _enter(self, state: BreakerState) -> None:
        self._state = state
        self._epoch += 1
        self._probing = False
