from datetime import datetime

import pytest

from domain import commands as c
from domain import events as e
from domain.failures import FailureKind
from domain.limits import DecisionLimits
from domain.operations import Operation
from domain.routes import RouteStatus
from domain.work import Work, next_work
from tests.domain import histories as h
from tests.domain.scenario import NOW, When, after, given

LIMITS = DecisionLimits(evict_unhealthy_after=300.0, reassert_endpoint_every=3600.0)

NOTHING = None
DUE = h.EARLIER  # long ago: at once

OVERRIDE = e.ReplicasOverridden(at=h.EARLIER, replica_count=2, until=after(60))
UNHEALTHY = h.reported(RouteStatus.UNHEALTHY, 1, previous=RouteStatus.HEALTHY, at=after(-200))
STARTED = h.registration_started(NOW)  # ends by +20 s, settles at +50 s
FRESH = (STARTED, e.EndpointRegistered(at=NOW, url=h.URL))  # due for being asserted again only in an hour


def work(*events: e.DeploymentEvent) -> Work | None:
    state = given(*events).state
    assert state is not None
    return next_work(state, LIMITS)


def after_failure(history: h.History, operation: Operation, kind: FailureKind = FailureKind.TRANSIENT) -> When:
    return given(*history).when(h.failure_of(operation, kind=kind, next_attempt_at=after(600)))


def due(when: When) -> Work | None:
    return next_work(when.state, LIMITS)


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        pytest.param(h.PENDING, NOTHING, id="pending: waits for a revision"),
        pytest.param(h.PENDING_WITH_REVISION, (DUE, Operation.CHECK_PENDING), id="revised: register"),
        pytest.param(
            (*h.PENDING_WITH_REVISION, STARTED), (after(20), Operation.CHECK_PENDING), id="call in flight: its deadline"
        ),
        pytest.param((*h.PENDING, OVERRIDE), (after(60), Operation.EXPIRE_OVERRIDE), id="pending: override ends"),
        pytest.param(h.SCALING, (DUE, Operation.SCALE), id="scaling: routes are missing"),
        pytest.param((*h.SCALING, h.scaled_out(1, 2, 3)), (DUE, Operation.SCALE), id="scaling: routes are too many"),
        pytest.param(h.SCALING_MATCHED, (DUE, Operation.CHECK_READY), id="scaling: the count matches"),
        pytest.param(h.READY_SHORT, (DUE, Operation.CHECK_READY), id="ready: a route is missing"),
        pytest.param((*h.READY, h.scaled_out(3)), (DUE, Operation.SCALE), id="scaling: one route too many"),
        pytest.param((*h.READY, *FRESH, OVERRIDE), (after(60), Operation.EXPIRE_OVERRIDE), id="ready: override ends"),
        pytest.param((*h.READY, *FRESH, UNHEALTHY), (after(100), Operation.EVICT), id="ready: eviction"),
        pytest.param(h.DESTROYING, (DUE, Operation.DESTROY), id="destroying: endpoint and routes"),
        pytest.param(
            (*h.DESTROYING, h.terminating(1, 2)), (DUE, Operation.DESTROY), id="destroying: the endpoint is left"
        ),
        pytest.param(h.DESTROYING_UNREGISTERED, NOTHING, id="destroying: waits for the runtime"),
        pytest.param(h.DESTROYED, NOTHING, id="destroyed"),
    ],
)
def test_what_comes_next_follows_from_the_state(
    history: h.History, expected: tuple[datetime, Operation] | None
) -> None:
    assert work(*history) == (expected and Work(*expected))


def test_routes_are_not_made_without_a_revision() -> None:
    work_left = work(*h.PENDING, e.EndpointRegistered(at=NOW, url=h.URL))

    assert work_left is not None
    assert work_left.operation is Operation.CHECK_PENDING


def test_an_endpoint_is_asserted_again_on_a_slow_cycle_that_differs_by_deployment() -> None:
    next_time = work(*h.READY, *FRESH)

    assert next_time is not None
    assert next_time.operation is Operation.CHECK_PENDING
    assert after(0.9 * 3600) <= next_time.due_at <= after(1.1 * 3600)


def test_routes_are_made_only_after_the_wait_for_failed_starts() -> None:
    failed = h.reported(RouteStatus.FAILED_TO_START, 1, start_failures=3, scale_out_not_before=after(4))

    assert work(*h.SCALING_MATCHED, *FRESH, failed) == Work(after(4), Operation.SCALE)


def test_routes_are_taken_away_without_waiting_for_failed_starts() -> None:
    failed = h.reported(RouteStatus.FAILED_TO_START, 1, start_failures=3, scale_out_not_before=after(4))
    fewer = e.ReplicaCountSet(at=NOW, previous=2, replica_count=0)

    assert work(*h.SCALING_MATCHED, *FRESH, failed, fewer) == Work(DUE, Operation.SCALE)


FAILING = [
    pytest.param((*h.PENDING_WITH_REVISION,), Operation.CHECK_PENDING, id="register"),
    pytest.param((*h.READY, *FRESH), Operation.CHECK_PENDING, id="assert again"),
    pytest.param((*h.SCALING, *FRESH), Operation.SCALE, id="scale out"),
    pytest.param((*h.SCALING_MATCHED, *FRESH), Operation.CHECK_READY, id="check"),
    pytest.param((*h.READY_SHORT, *FRESH), Operation.CHECK_READY, id="check when ready"),
    pytest.param(h.DESTROYING, Operation.DESTROY, id="destroy"),
]


@pytest.mark.parametrize("kind", list(FailureKind))
@pytest.mark.parametrize(("history", "operation"), FAILING)
def test_a_failed_operation_waits_for_its_next_attempt(
    history: h.History, operation: Operation, kind: FailureKind
) -> None:
    failed = after_failure(history, operation, kind)

    work_left = due(failed)
    assert work_left is not None
    assert work_left.due_at >= after(600)


ASKED = c.SetScalingPolicy(deployment_id=h.DEPLOYMENT, policy=h.POLICY)


@pytest.mark.parametrize(
    ("history", "operation"),
    [
        (h.PENDING_WITH_REVISION, Operation.CHECK_PENDING),
        ((*h.SCALING, *FRESH), Operation.SCALE),
        ((*h.SCALING_MATCHED, *FRESH), Operation.CHECK_READY),
    ],
)
def test_a_permanent_failure_is_due_again_when_something_else_is_asked(
    history: h.History, operation: Operation
) -> None:
    asked = after_failure(history, operation, FailureKind.PERMANENT).and_when(ASKED)

    assert due(asked) == Work(NOW, operation)


def test_any_other_failure_waits_whatever_is_asked() -> None:
    asked = after_failure(h.PENDING_WITH_REVISION, Operation.CHECK_PENDING).and_when(ASKED)

    assert due(asked) == Work(after(600), Operation.CHECK_PENDING)


@pytest.mark.parametrize(
    "observation",
    [
        h.CREATE,
        h.failure_of(Operation.CALCULATE),
        c.ReportRoutes(
            deployment_id=h.DEPLOYMENT,
            reports=(c.RouteReport(route_id=h.route_id(1), status=RouteStatus.DEGRADED),),
        ),
    ],
    ids=lambda command: type(command).__name__,
)
def test_a_permanent_failure_is_not_due_again_for_what_was_only_observed(observation: c.AnyCommand) -> None:
    """Else a thousand route reports would make a thousand calls that the proxy has refused for good."""
    observed = after_failure((*h.READY, *FRESH), Operation.CHECK_PENDING, FailureKind.PERMANENT).and_when(observation)

    work_left = due(observed)
    assert work_left is not None
    assert work_left.due_at >= after(600)


def test_two_permanent_failures_do_not_keep_waking_each_other() -> None:
    scaling = after_failure((*h.SCALING, *FRESH), Operation.SCALE, FailureKind.PERMANENT)

    both = scaling.and_when(
        h.failure_of(Operation.CHECK_PENDING, kind=FailureKind.PERMANENT, next_attempt_at=after(600))
    )

    work_left = due(both)
    assert work_left is not None
    assert work_left.due_at >= after(600)


def test_a_forced_destruction_is_due_at_once_whatever_failed_before() -> None:
    failed = after_failure(h.DESTROYING, Operation.DESTROY)

    forced = failed.and_when(c.DestroyDeployment(deployment_id=h.DEPLOYMENT, force=True))

    assert due(forced) == Work(DUE, Operation.DESTROY)


def test_a_delete_that_came_too_early_is_due_again_when_the_call_before_it_settles() -> None:
    early = c.RecordEndpointUnregistered(deployment_id=h.DEPLOYMENT, sent_at=NOW)

    when = given(*h.PENDING_WITH_REVISION, STARTED, e.DestructionRequested(at=NOW, force=False)).when(early)

    assert due(when) == Work(after(50), Operation.DESTROY)
