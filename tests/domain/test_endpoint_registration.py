import pytest

from domain import commands as c
from domain import events as e
from domain.deployment import Endpoint, Lifecycle, Registration
from domain.errors import RejectionCode
from domain.failures import FailureKind
from domain.limits import DecisionLimits
from domain.operations import Operation
from domain.work import next_work
from tests.domain import histories as h
from tests.domain.scenario import NOW, after, given

START = c.StartEndpointRegistration(deployment_id=h.DEPLOYMENT, deadline=after(20), settles_at=after(50))
REGISTERED = c.RecordEndpointRegistered(deployment_id=h.DEPLOYMENT, url=h.URL)
IN_FLIGHT = (*h.PENDING_WITH_REVISION, h.registration_started(NOW))
OWNER_DIED = (*h.PENDING_WITH_REVISION, h.registration_started(after(-30)))


def failed(kind: FailureKind) -> c.RecordOperationFailure:
    return h.failure_of(Operation.CHECK_PENDING, kind=kind)


def test_a_create_call_is_known_before_it_is_made() -> None:
    when = given(*h.PENDING_WITH_REVISION).when(START)

    when.then(e.EndpointRegistrationStarted(at=NOW, deadline=after(20), settles_at=after(50)))
    assert when.state.endpoint.registration == Registration(deadline=after(20), settles_at=after(50))
    assert when.state.endpoint.may_exist


def test_without_a_revision_there_is_nothing_to_register() -> None:
    given(*h.PENDING).when(START).then_rejected(RejectionCode.CHANGED_MEANWHILE)


def test_a_registered_endpoint_makes_a_pending_deployment_scale() -> None:
    state = given(*IN_FLIGHT).when(REGISTERED).state

    assert state.lifecycle is Lifecycle.SCALING
    assert state.endpoint == Endpoint(url=h.URL, registered_at=NOW)


def test_an_endpoint_that_is_asserted_again_leaves_a_ready_deployment_ready() -> None:
    when = given(*h.READY).when(START).and_when(REGISTERED)

    assert when.state.lifecycle is Lifecycle.READY
    assert when.state.endpoint.registered_at == NOW


def test_a_registered_endpoint_is_the_end_of_earlier_failures() -> None:
    when = given(*IN_FLIGHT).when(failed(FailureKind.UNKNOWN)).and_when(START).and_when(REGISTERED)

    assert when.state.failures == {}


@pytest.mark.parametrize("kind", [FailureKind.TRANSIENT, FailureKind.PERMANENT])
def test_a_definite_failure_leaves_nothing_that_could_still_take_effect(kind: FailureKind) -> None:
    state = given(*IN_FLIGHT).when(failed(kind)).state

    assert state.endpoint == Endpoint()
    assert not state.endpoint.may_exist


def test_a_call_without_an_answer_may_take_effect_until_it_settles() -> None:
    state = given(*IN_FLIGHT).when(failed(FailureKind.UNKNOWN)).state

    assert state.endpoint == Endpoint(unsettled_until=after(50))
    assert state.endpoint.may_exist


def test_a_call_whose_worker_died_may_take_effect_even_after_the_next_one_starts() -> None:
    state = given(*OWNER_DIED).when(START).state

    assert state.endpoint.unsettled_until == after(20)
    assert state.endpoint.settles_at == after(50)


def test_the_answer_to_the_next_call_says_nothing_of_the_one_before() -> None:
    restarted = given(*OWNER_DIED).when(START)

    assert restarted.and_when(failed(FailureKind.TRANSIENT)).state.endpoint == Endpoint(unsettled_until=after(20))
    answered = restarted.and_when(REGISTERED).state.endpoint
    assert answered == Endpoint(url=h.URL, registered_at=NOW, unsettled_until=after(20))


@pytest.mark.parametrize("started", [-20, -30], ids=["at the deadline", "after the deadline"])
@pytest.mark.parametrize("kind", [FailureKind.TRANSIENT, FailureKind.PERMANENT])
def test_a_failure_from_the_deadline_on_is_no_answer_to_the_call_in_flight(kind: FailureKind, started: float) -> None:
    """The next worker may fail before it makes a call of its own; the dead one's call may still take effect."""
    history = (*h.PENDING_WITH_REVISION, h.registration_started(after(started)))

    state = given(*history).when(failed(kind)).state

    assert state.endpoint == Endpoint(unsettled_until=after(started + 50))


def test_a_failed_assertion_of_a_registered_endpoint_keeps_its_url() -> None:
    state = given(*h.READY).when(START).and_when(failed(FailureKind.TRANSIENT)).state

    assert state.endpoint.url == h.URL
    assert state.lifecycle is Lifecycle.READY


def test_a_doubted_endpoint_is_asserted_at_once_and_its_delete_waits_until_earlier_calls_have_settled() -> None:
    doubted = given(*h.READY).when(c.DoubtEndpoint(deployment_id=h.DEPLOYMENT, settles_at=after(50))).state

    assert doubted.endpoint.settles_at == after(50)
    work = next_work(doubted, DecisionLimits())
    assert work is not None
    assert (work.operation, work.due_at <= NOW) == (Operation.CHECK_PENDING, True)


def test_an_endpoint_that_was_asserted_is_in_doubt_no_more() -> None:
    when = given(*h.READY).when(c.DoubtEndpoint(deployment_id=h.DEPLOYMENT, settles_at=after(50)))
    asserted = when.and_when(c.RecordEndpointRegistered(deployment_id=h.DEPLOYMENT, url=h.URL)).state

    assert not asserted.endpoint.doubted
    assert asserted.endpoint.settles_at == after(50)
    work = next_work(asserted, DecisionLimits())
    assert work is None or work.due_at > NOW
