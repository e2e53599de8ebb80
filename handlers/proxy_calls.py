"""The policy for calls to app proxies: how many at a time, how long, and when not at all."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum, auto
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from domain.failures import FailureKind
from domain.quantities import Count, Seconds
from handlers.adaptive_limit import AdaptiveLimit, WaitRefused
from handlers.app_proxy_errors import CircuitOpen, ProxyTargetInvalid, ProxyTimedOut, SlotWaitExceeded, failure_kind
from handlers.circuit_breaker import Admission, BreakerState, CircuitBreaker
from handlers.proxy_address import proxy_base_url

log = logging.getLogger(__name__)

T = TypeVar("T")


class ProxyCallLimits(BaseModel):
    """Limits for the calls to one proxy; every proxy has its own.

    The defaults follow what a real proxy does: it serves 52 creates a second two at a time, 14 four at a time, and from
    sixteen at a time on it answers some with 500, because its transactions conflict with each other.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    concurrency: Count = 2
    """Most calls at a time (count)."""
    decrease_factor: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """What a sign of overload multiplies the number of calls at a time by (ratio)."""
    slow_call_seconds: Seconds = 1.0
    """A call that took longer (seconds) is a sign of overload even if it succeeded."""
    slot_wait_seconds: Seconds = 30.0
    """How long a call may wait for its turn (seconds)."""
    max_waiting: Count = 2000
    """Most calls that may wait for their turn (count)."""
    failure_threshold: Count = 5
    """After how many failures in a row (count) the proxy is left alone."""
    open_seconds: Seconds = 15.0
    """For how long the proxy is left alone (seconds) before one call may try it."""

    def ends_within(self, timeout_seconds: float) -> float:
        """Give the longest time (seconds) that :meth:`ProxyCalls.run` may take with this timeout, its wait included."""
        return self.slot_wait_seconds + timeout_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyTargetSnapshot:
    """How calls to one proxy stand at this moment; numbers are counts, but ``retry_after`` is seconds."""

    address: str
    limit: int
    in_flight: int
    waiting: int
    breaker: BreakerState
    consecutive_failures: int
    retry_after: float


@dataclass(frozen=True, slots=True)
class _Target:
    address: str
    limit: AdaptiveLimit
    breaker: CircuitBreaker


class ProxyCalls:
    """Runs calls to app proxies, each proxy under its own concurrency limit and circuit breaker.

    A call that fails for the caller's own fault (a permanent failure) shows that the proxy works. Every other failure,
    an unknown exception included, counts against the proxy. A cancelled call counts neither way.
    """

    def __init__(
        self, limits: ProxyCallLimits | None = None, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._limits = limits or ProxyCallLimits()
        self._monotonic = monotonic
        self._targets: dict[str, _Target] = {}

    @property
    def limits(self) -> ProxyCallLimits:
        """The limits in force."""
        return self._limits

    def snapshot(self) -> tuple[ProxyTargetSnapshot, ...]:
        """Show every proxy that was called so far, for metrics."""
        return tuple(
            ProxyTargetSnapshot(
                address=target.address,
                limit=target.limit.limit,
                in_flight=target.limit.in_flight,
                waiting=target.limit.waiting,
                breaker=target.breaker.state,
                consecutive_failures=target.breaker.consecutive_failures,
                retry_after=target.breaker.retry_after,
            )
            for target in self._targets.values()
        )

    async def run(self, address: str, call: Callable[[], Awaitable[T]], *, timeout_seconds: float) -> T:
        """Make one call when its turn comes, and give what it gives.

        Args:
            address: Of the proxy that is called: ``host:port`` or an http(s) URL.
            call: Makes the call; awaited at most once.
            timeout_seconds: How long the call may take once it begins (seconds); its wait for a turn is not in it.

        Raises:
            CircuitOpen: The proxy is left alone at the moment.
            SlotWaitExceeded: The call's turn did not come in time.
            ProxyTimedOut: The call took longer than ``timeout_seconds`` and may still take effect.
            ProxyTargetInvalid: ``address`` cannot be used.
            Exception: Whatever ``call`` raises, unchanged.
        """
        target = self._target(address)
        if target.breaker.refuses_calls:
            raise _circuit_open(target)
        try:
            async with target.limit.slot(self._limits.slot_wait_seconds):
                with self._judging(target):
                    return await _within(timeout_seconds, call, target.address)
        except WaitRefused as refusal:
            raise SlotWaitExceeded(f"call to {target.address} was not sent: {refusal}") from None

    def _target(self, address: str) -> _Target:
        base_url = proxy_base_url(address)
        target = self._targets.get(base_url)
        if target is None:
            limits = self._limits
            target = self._targets[base_url] = _Target(
                base_url,
                AdaptiveLimit(
                    limits.concurrency, decrease_factor=limits.decrease_factor, max_waiting=limits.max_waiting
                ),
                CircuitBreaker(
                    failure_threshold=limits.failure_threshold,
                    open_seconds=limits.open_seconds,
                    monotonic=self._monotonic,
                ),
            )
        return target

    @contextmanager
    def _judging(self, target: _Target) -> Iterator[None]:
        """Let one call through and learn from how it ends."""
        admission = target.breaker.admit()
        if admission is None:  # the circuit opened during the wait
            raise _circuit_open(target)
        begun_in_round, begun_at = target.limit.round, self._monotonic()
        try:
            yield
        except BaseException as error:
            match _verdict(error):
                case _Verdict.WORKS:
                    _peer_works(target, admission)
                case _Verdict.FAILED:
                    target.limit.overloaded(begun_in_round)
                    _peer_failed(target, admission)
                case _Verdict.SILENT:
                    target.breaker.abandoned(admission)
            raise
        if self._monotonic() - begun_at > self._limits.slow_call_seconds:
            target.limit.overloaded(begun_in_round)
        else:
            target.limit.went_well()
        _peer_works(target, admission)


class _Verdict(Enum):
    """What a failed call says about the proxy; SILENT: nothing."""

    WORKS = auto()
    FAILED = auto()
    SILENT = auto()


def _verdict(error: BaseException) -> _Verdict:
    if isinstance(error, ProxyTargetInvalid) or not isinstance(error, Exception):
        return _Verdict.SILENT
    return _Verdict.WORKS if failure_kind(error) is FailureKind.PERMANENT else _Verdict.FAILED


async def _within(timeout_seconds: float, call: Callable[[], Awaitable[T]], address: str) -> T:
    deadline = asyncio.timeout(timeout_seconds)
    try:
        async with deadline:
            return await call()
    except TimeoutError:
        if not deadline.expired():
            raise
        raise ProxyTimedOut(f"call to {address}: not done within {timeout_seconds:g} s") from None


def _circuit_open(target: _Target) -> CircuitOpen:
    failures, seconds = target.breaker.consecutive_failures, target.breaker.retry_after
    reason = f"{failures} failures in a row, next try in {seconds:.1f} s"
    return CircuitOpen(f"call to {target.address} was not sent: {reason}", retry_after=seconds)


def _peer_works(target: _Target, admission: Admission) -> None:
    before = target.breaker.state
    target.breaker.succeeded(admission)
    _log_change(target, before)


def _peer_failed(target: _Target, admission: Admission) -> None:
    before = target.breaker.state
    target.breaker.failed(admission)
    _log_change(target, before)


def _log_change(target: _Target, before: BreakerState) -> None:
    after = target.breaker.state
    if after is not before:
        level = logging.WARNING if after is BreakerState.OPEN else logging.INFO
        extra = {"action": "proxy_circuit_changed", "address": target.address}
        log.log(level, "calls to proxy %s: circuit %s, was %s", target.address, after, before, extra=extra)
