from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.circuit_breaker import Admission, BreakerState, CircuitBreaker


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> CircuitBreaker:
    return CircuitBreaker(failure_threshold=3, open_seconds=15, monotonic=clock)


def admitted(breaker: CircuitBreaker) -> Admission:
    """Give the leave for one call, which there must be."""
    admission = breaker.admit()
    assert admission is not None
    return admission


def state_of(breaker: CircuitBreaker) -> BreakerState:
    """Give the state; a function, because time changes what the property gives and the type checker cannot know."""
    return breaker.state


def opened(breaker: CircuitBreaker) -> CircuitBreaker:
    for _ in range(3):
        breaker.failed(admitted(breaker))
    return breaker


def half_opened(breaker: CircuitBreaker, clock: Clock) -> CircuitBreaker:
    opened(breaker)
    clock.now += 15
    return breaker


def test_it_begins_closed_and_lets_calls_through(breaker: CircuitBreaker) -> None:
    assert state_of(breaker) is BreakerState.CLOSED
    admitted(breaker)
    admitted(breaker)


def test_it_opens_at_the_threshold_of_failures_in_a_row(breaker: CircuitBreaker) -> None:
    breaker.failed(admitted(breaker))
    breaker.failed(admitted(breaker))
    assert state_of(breaker) is BreakerState.CLOSED

    breaker.failed(admitted(breaker))

    assert state_of(breaker) is BreakerState.OPEN
    assert breaker.admit() is None


def test_a_success_in_between_starts_the_count_anew(breaker: CircuitBreaker) -> None:
    breaker.failed(admitted(breaker))
    breaker.failed(admitted(breaker))
    breaker.succeeded(admitted(breaker))
    breaker.failed(admitted(breaker))

    assert state_of(breaker) is BreakerState.CLOSED
    assert breaker.consecutive_failures == 1


def test_an_open_one_says_how_long_it_stays_open(breaker: CircuitBreaker, clock: Clock) -> None:
    opened(breaker)
    clock.now += 5

    assert breaker.retry_after == 10


def test_it_turns_half_open_when_its_time_is_over(breaker: CircuitBreaker, clock: Clock) -> None:
    opened(breaker)

    clock.now += 14.999
    assert state_of(breaker) is BreakerState.OPEN
    clock.now += 0.001
    assert state_of(breaker) is BreakerState.HALF_OPEN


def test_a_half_open_one_lets_a_single_probe_through(breaker: CircuitBreaker, clock: Clock) -> None:
    half_opened(breaker, clock)

    admitted(breaker)
    assert breaker.admit() is None
    assert breaker.retry_after == 0


def test_a_good_probe_closes_it(breaker: CircuitBreaker, clock: Clock) -> None:
    half_opened(breaker, clock)

    breaker.succeeded(admitted(breaker))

    assert state_of(breaker) is BreakerState.CLOSED
    assert breaker.consecutive_failures == 0


def test_a_failed_probe_opens_it_for_another_while(breaker: CircuitBreaker, clock: Clock) -> None:
    half_opened(breaker, clock)

    breaker.failed(admitted(breaker))

    assert state_of(breaker) is BreakerState.OPEN
    assert breaker.retry_after == 15


def test_an_abandoned_probe_lets_the_next_call_probe(breaker: CircuitBreaker, clock: Clock) -> None:
    half_opened(breaker, clock)

    breaker.abandoned(admitted(breaker))

    assert state_of(breaker) is BreakerState.HALF_OPEN
    admitted(breaker)


@pytest.mark.parametrize("good", [True, False])
def test_a_report_from_before_the_last_change_is_ignored(breaker: CircuitBreaker, clock: Clock, *, good: bool) -> None:
    old = admitted(breaker)
    half_opened(breaker, clock)
    probe = admitted(breaker)

    (breaker.succeeded if good else breaker.failed)(old)
    breaker.abandoned(old)

    assert state_of(breaker) is BreakerState.HALF_OPEN
    assert breaker.admit() is None, "the probe is still out"
    breaker.succeeded(probe)
    assert state_of(breaker) is BreakerState.CLOSED


@given(st.lists(st.sampled_from(["admit", "good", "bad", "gone", "wait"]), max_size=80))
def test_it_never_wedges_and_never_has_two_probes(steps: list[str]) -> None:
    """Whatever happens: at most one probe is out, and time plus one good probe always closes the circuit."""
    clock = Clock()
    breaker = CircuitBreaker(failure_threshold=2, open_seconds=15, monotonic=clock)
    out: list[tuple[Admission, BreakerState]] = []
    for step in steps:
        if step == "wait":
            clock.now += 8
        elif step == "admit":
            state = breaker.state
            admission = breaker.admit()
            if admission is None:
                assert state is not BreakerState.CLOSED
            else:
                out.append((admission, state))
        elif out:
            admission, _ = out.pop(0)
            {"good": breaker.succeeded, "bad": breaker.failed, "gone": breaker.abandoned}[step](admission)
        assert sum(state is BreakerState.HALF_OPEN for _, state in out) <= 1

    for admission, _ in out:
        breaker.abandoned(admission)
    clock.now += 15
    breaker.succeeded(admitted(breaker))
    assert state_of(breaker) is BreakerState.CLOSED
