from typing import Any

import pytest
from sqlalchemy import Engine

from domain import events as e
from domain.deployment import Deployment
from domain.evolve import evolve, replay
from domain.failures import FailureKind
from domain.operations import Operation
from domain.recorded import AnyEvent, SystemEvent
from projections.operation_failures import FAILED, RESOLVED_BY, OperationFailureRow, find_failures
from tests.domain.golden_examples import EXAMPLES
from tests.projection_support import CHAT, SEARCH, after, created, fold, registered, revision_set, scaled_out

FAILURE: dict[str, Any] = {"code": "c", "reason": "r", "detail": "", "kind": FailureKind.TRANSIENT, "attempts": 1}


def failed(seconds: float, *, attempts: int = 1, code: str = "timeout") -> e.EndpointRegistrationFailed:
    """An endpoint could not be registered."""
    return e.EndpointRegistrationFailed(
        at=after(seconds),
        code=code,
        reason="it did not work",
        detail="after 5 s",
        kind=FailureKind.UNKNOWN,
        attempts=attempts,
        next_attempt_at=after(seconds + 10),
    )


def failures(engine: Engine, *, resolved: bool = True) -> list[OperationFailureRow]:
    with engine.connect() as connection:
        return find_failures(connection, resolved=resolved)


async def test_a_failure_shows_what_went_wrong_and_when_it_is_tried_again(engine: Engine) -> None:
    await fold(engine, created(), revision_set(), failed(2))

    (row,) = failures(engine, resolved=False)
    assert (row.deployment_id, row.operation) == (CHAT, Operation.CHECK_PENDING)
    assert (row.code, row.reason, row.detail) == ("timeout", "it did not work", "after 5 s")
    assert (row.kind, row.attempts) == (FailureKind.UNKNOWN, 1)
    assert (row.first_failed_at, row.failed_at, row.next_attempt_at) == (after(2), after(2), after(12))
    assert row.resolved_at is None


async def test_failures_in_a_row_are_one_row_that_counts_them(engine: Engine) -> None:
    await fold(engine, created(), revision_set(), failed(2), failed(20, attempts=2, code="refused"))

    (row,) = failures(engine)
    assert (row.attempts, row.code) == (2, "refused")
    assert (row.first_failed_at, row.failed_at) == (after(2), after(20))


async def test_a_failure_that_came_right_stays_as_history_beside_the_next_one(engine: Engine) -> None:
    await fold(engine, created(), revision_set(), failed(2), registered(15), failed(40))

    again, resolved = failures(engine)
    assert (again.failed_at, again.resolved_at) == (after(40), None)
    assert (resolved.failed_at, resolved.resolved_at) == (after(2), after(15))
    assert failures(engine, resolved=False) == [again]


async def test_success_of_one_operation_says_nothing_about_another(engine: Engine) -> None:
    await fold(engine, created(), registered(), failed(3), scaled_out(1, seconds=4))

    assert [row.resolved_at for row in failures(engine)] == [None]


async def test_failures_are_found_by_deployment_and_operation(engine: Engine) -> None:
    await fold(engine, created(), failed(2))

    with engine.connect() as connection:
        assert len(find_failures(connection, deployment_id=CHAT, operation=Operation.CHECK_PENDING)) == 1
        assert find_failures(connection, deployment_id=SEARCH) == []
        assert find_failures(connection, operation=Operation.SCALE) == []
        assert find_failures(connection, limit=0) == []


def deployment_with_every_failure() -> Deployment:
    """A deployment of which all operations that can fail have failed."""
    events = [event(at=after(1), next_attempt_at=after(9), **FAILURE) for event in FAILED]
    state = replay([created(), registered(), *events])
    assert state is not None
    return state


def test_every_operation_that_can_fail_has_its_event() -> None:
    assert {event.operation for event in FAILED} == deployment_with_every_failure().failures.keys()


@pytest.mark.parametrize("event", [longest for _, longest in EXAMPLES], ids=lambda event: event.name)
def test_an_event_resolves_the_failures_that_the_domain_forgets_with_it(event: AnyEvent) -> None:
    if isinstance(event, SystemEvent):
        return
    before = deployment_with_every_failure()

    forgotten = before.failures.keys() - evolve(before, event).failures.keys()

    assert set(RESOLVED_BY.get(type(event), ())) == forgotten
