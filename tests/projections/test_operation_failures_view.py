from collections.abc import Mapping
from typing import get_args

import pytest
from sqlalchemy import Engine

from domain import events as e
from domain.failures import FailureKind
from domain.operations import Operation
from projections.operation_failures import FAILED, OperationFailureRow, find_failures
from tests.projection_support import CHAT, SEARCH, after, created, fold, registered, revision_set, scaled_out


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


@pytest.mark.parametrize("event_type", [each for each in get_args(e.DeploymentEvent) if "Failed" in each.__name__])
def test_every_event_about_a_failure_is_known_as_one(event_type: type[e.OperationFailed]) -> None:
    operations: Mapping[type[e.OperationFailed], Operation] = {each: each.operation for each in FAILED}

    assert event_type in operations
