import pytest

from domain import commands as c
from domain import events as e
from domain.deciding.endpoint import FORCED_ATTEMPTS
from domain.deployment import Deployment, Lifecycle
from domain.errors import RejectionCode
from domain.failures import FailureKind
from domain.operations import Operation
from domain.routes import RouteStatus
from tests.domain import histories as h
from tests.domain.scenario import NOW, When, after, given

DESTROY = c.DestroyDeployment(deployment_id=h.DEPLOYMENT)
FORCE = c.DestroyDeployment(deployment_id=h.DEPLOYMENT, force=True)
REGISTERED = c.RecordEndpointRegistered(deployment_id=h.DEPLOYMENT, url=h.URL)
REQUESTED = e.DestructionRequested(at=h.EARLIER, force=False)
FORCED = (*h.DESTROYING, e.DestructionRequested(at=h.EARLIER, force=True))

STARTED = h.registration_started(NOW)  # ends by +20 s, settles at +50 s
ANSWERED = e.EndpointRegistered(at=after(1), url=h.URL)


def deleted(seconds: float) -> c.RecordEndpointUnregistered:
    """The proxy confirmed a delete that was sent so many seconds from now."""
    return c.RecordEndpointUnregistered(deployment_id=h.DEPLOYMENT, sent_at=after(seconds))


def call_failed(kind: FailureKind, seconds: float = 1) -> e.EndpointRegistrationFailed:
    return e.EndpointRegistrationFailed(
        at=after(seconds),
        code="proxy-unavailable",
        reason="the proxy answered 503",
        detail="",
        kind=kind,
        attempts=1,
        next_attempt_at=after(60),
    )


def second_start(seconds: float) -> e.EndpointRegistrationStarted:
    """A call that settles before the first one does."""
    return h.registration_started(after(seconds), deadline=5, settles=9)


def destroying(*registration: e.DeploymentEvent) -> h.History:
    return (*h.PENDING_WITH_REVISION, *registration, REQUESTED)


def report(status: RouteStatus, *numbers: int) -> c.ReportRoutes:
    reports = tuple(c.RouteReport(route_id=h.route_id(number), status=status) for number in numbers)
    return c.ReportRoutes(deployment_id=h.DEPLOYMENT, reports=reports)


ANSWERED_HISTORIES = {
    "registered": destroying(STARTED, ANSWERED),
    "registered at the second try": destroying(
        STARTED, call_failed(FailureKind.TRANSIENT), h.registration_started(after(1)), ANSWERED
    ),
    "refused when asserted again": destroying(
        STARTED, ANSWERED, h.registration_started(after(1)), call_failed(FailureKind.PERMANENT)
    ),
    "registered after the destruction began": (*destroying(STARTED), ANSWERED),
}
UNSETTLED_HISTORIES = {
    "no answer": destroying(STARTED, call_failed(FailureKind.UNKNOWN)),
    "no answer, then registered": destroying(STARTED, call_failed(FailureKind.UNKNOWN), second_start(1), ANSWERED),
    "no answer, then refused": destroying(
        STARTED,
        call_failed(FailureKind.UNKNOWN),
        second_start(1),
        call_failed(FailureKind.TRANSIENT),
    ),
    "worker died in the call": destroying(STARTED),
    "worker died in the call, the next one failed before its own": destroying(
        STARTED, call_failed(FailureKind.TRANSIENT, seconds=21)
    ),
    "worker died in the call, then registered": destroying(STARTED, second_start(21), ANSWERED),
    "worker died in the call, then refused": destroying(
        STARTED, second_start(21), call_failed(FailureKind.PERMANENT, seconds=22)
    ),
    "no answer to the last of two": destroying(
        h.registration_started(after(-20)), ANSWERED, STARTED, call_failed(FailureKind.UNKNOWN)
    ),
    "no answer, and one more after the destruction began": (
        *destroying(h.registration_started(after(-20)), STARTED),
        call_failed(FailureKind.UNKNOWN),
    ),
}


@pytest.mark.parametrize("history", ANSWERED_HISTORIES.values(), ids=ANSWERED_HISTORIES)
def test_a_delete_counts_at_once_where_every_start_got_a_definite_answer(history: h.History) -> None:
    given(*history).when(deleted(2), at=after(2)).then(
        e.EndpointUnregistered(at=after(2), sent_at=after(2)), e.DeploymentDestroyed(at=after(2), abandoned_routes=0)
    )


@pytest.mark.parametrize("history", UNSETTLED_HISTORIES.values(), ids=UNSETTLED_HISTORIES)
def test_a_delete_does_not_count_while_an_earlier_call_may_still_take_effect(history: h.History) -> None:
    when = given(*history).when(deleted(49.9), at=after(60))

    when.then_events(e.EndpointUnregistrationFailed)
    failure = when.state.failures[Operation.DESTROY]
    assert (failure.code, failure.next_attempt_at) == ("unsettled", after(50))
    assert when.state.lifecycle is Lifecycle.DESTROYING


@pytest.mark.parametrize("history", UNSETTLED_HISTORIES.values(), ids=UNSETTLED_HISTORIES)
def test_a_delete_counts_once_no_earlier_call_can_take_effect_any_more(history: h.History) -> None:
    early = given(*history).when(deleted(2), at=after(2))

    early.and_when(deleted(50), at=after(50)).then_events(e.EndpointUnregistered, e.DeploymentDestroyed)


def test_without_an_endpoint_and_routes_the_deployment_is_gone_at_once() -> None:
    given(*h.PENDING_WITH_REVISION).when(DESTROY).then(
        e.DestructionRequested(at=NOW, force=False), e.DeploymentDestroyed(at=NOW, abandoned_routes=0)
    )


def test_a_definite_refusal_of_the_only_call_leaves_nothing_to_delete() -> None:
    refused = h.failure_of(Operation.CHECK_PENDING, kind=FailureKind.PERMANENT)

    given(*destroying(STARTED)).when(refused).then_events(e.EndpointRegistrationFailed, e.DeploymentDestroyed)


def test_an_endpoint_that_comes_up_during_destruction_has_to_be_deleted_too() -> None:
    late = given(*h.DESTROYING_UNREGISTERED).when(REGISTERED)

    ended = late.and_when(report(RouteStatus.TERMINATED, 1, 2))
    ended.then_events(e.RouteStatusReported)
    ended.and_when(deleted(1)).then_events(e.EndpointUnregistered, e.DeploymentDestroyed)


def test_an_endpoint_that_comes_up_after_destruction_is_refused() -> None:
    given(*h.DESTROYED).when(REGISTERED).then_rejected(RejectionCode.DESTROYED)


def test_the_last_route_to_end_completes_the_destruction() -> None:
    first = given(*h.DESTROYING_UNREGISTERED).when(report(RouteStatus.TERMINATED, 1))

    first.then_events(e.RouteStatusReported)
    first.and_when(report(RouteStatus.TERMINATED, 2)).then_events(e.RouteStatusReported, e.DeploymentDestroyed)


def test_the_endpoint_may_be_the_last_to_go() -> None:
    ended = given(*h.DESTROYING).when(report(RouteStatus.TERMINATED, 1, 2))

    ended.and_when(deleted(0)).then_events(e.EndpointUnregistered, e.DeploymentDestroyed)


def test_a_repeated_destroy_has_no_effect_and_force_has_one_only_once() -> None:
    given(*h.DESTROYING).when(DESTROY).then_events(e.CommandHadNoEffect)
    forced = given(*h.DESTROYING).when(FORCE).then_events(e.DestructionRequested)
    forced.and_when(FORCE).then_events(e.CommandHadNoEffect)
    forced.and_when(DESTROY).then_events(e.CommandHadNoEffect)
    assert forced.and_when(DESTROY).state.forced


def test_a_forced_destruction_does_not_wait_for_a_dead_runtime() -> None:
    when = given(*h.DESTROYING_UNREGISTERED).when(FORCE)

    when.then(e.DestructionRequested(at=NOW, force=True), e.DeploymentDestroyed(at=NOW, abandoned_routes=2))


def test_a_forced_destruction_still_tells_the_routes_to_go() -> None:
    unregistered = given(*FORCED).when(deleted(0)).then_events(e.EndpointUnregistered)

    everything = c.TerminateRoutes(deployment_id=h.DEPLOYMENT, route_ids=frozenset(unregistered.state.routes))
    unregistered.and_when(everything).then_events(e.RoutesTerminating, e.DeploymentDestroyed)


def give_up() -> When:
    refused_for_good = h.failure_of(Operation.DESTROY, kind=FailureKind.PERMANENT)
    return given(*FORCED, h.terminating(1, 2)).when(refused_for_good)


def test_a_forced_destruction_gives_up_on_a_missing_proxy_and_says_so() -> None:
    give_up().then(
        e.EndpointAbandoned(at=NOW, reason="proxy-unavailable: the proxy answered 503"),
        e.DeploymentDestroyed(at=NOW, abandoned_routes=2),
    )


@pytest.mark.parametrize("kind", [FailureKind.TRANSIENT, FailureKind.UNKNOWN])
def test_a_forced_destruction_tries_several_times_where_that_may_help(kind: FailureKind) -> None:
    failure = h.failure_of(Operation.DESTROY, kind=kind)
    when = given(*FORCED, h.terminating(1, 2)).when(failure)

    for _ in range(FORCED_ATTEMPTS - 2):
        when = when.then_events(e.EndpointUnregistrationFailed).and_when(failure)

    when.and_when(failure).then_events(e.EndpointAbandoned, e.DeploymentDestroyed)


def test_a_forced_destruction_without_an_endpoint_has_nothing_to_give_up_on() -> None:
    """Else an operation that fails for another reason would be repeated at once, for ever."""
    when = given(*FORCED).when(deleted(0)).and_when(h.failure_of(Operation.DESTROY))

    when.then_events(e.EndpointUnregistrationFailed)
    assert when.state.failures[Operation.DESTROY].next_attempt_at == after(10)


def test_a_destruction_that_is_not_forced_does_not_give_up() -> None:
    when = given(*h.DESTROYING).when(h.failure_of(Operation.DESTROY, kind=FailureKind.PERMANENT))

    when.then_events(e.EndpointUnregistrationFailed)


def test_nothing_is_left_in_a_destroyed_deployment() -> None:
    state = give_up().state

    assert isinstance(state, Deployment)
    assert (state.lifecycle, state.routes, state.failures) == (Lifecycle.DESTROYED, {}, {})
    assert not state.endpoint.may_exist
