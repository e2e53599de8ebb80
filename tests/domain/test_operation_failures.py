import pytest

from domain import commands as c
from domain import events as e
from domain.autoscaling.decision import DecisionReason, ScalingDecision
from domain.failures import FailureKind
from domain.operations import Operation, OperationFailure
from tests.domain import histories as h
from tests.domain.scenario import NOW, after, given

SCALE = h.failure_of(Operation.SCALE)
RECORDED = [Operation.CHECK_PENDING, Operation.CALCULATE, Operation.SCALE, Operation.DESTROY]


@pytest.mark.parametrize("operation", RECORDED)
def test_a_failure_is_kept_with_what_is_needed_to_explain_and_repeat_it(operation: Operation) -> None:
    state = given(*h.READY).when(h.failure_of(operation, kind=FailureKind.UNKNOWN)).state

    assert state.failures == {
        operation: OperationFailure(
            code="proxy-unavailable",
            reason="the proxy answered 503",
            kind=FailureKind.UNKNOWN,
            attempts=1,
            failed_at=NOW,
            next_attempt_at=after(10),
            version=state.version,
        )
    }


@pytest.mark.parametrize("operation", RECORDED)
def test_failures_in_a_row_are_counted(operation: Operation) -> None:
    command = h.failure_of(operation)

    third = given(*h.READY).when(command).and_when(command).and_when(command)

    assert third.state.failures[operation].attempts == 3


def test_a_failed_check_of_the_replicas_counts_as_failed_scaling() -> None:
    """A check that fails and leaves nothing behind would be repeated at once, for ever."""
    when = given(*h.READY_SHORT).when(h.failure_of(Operation.CHECK_READY)).and_when(SCALE)

    assert when.state.failures[Operation.SCALE].attempts == 2


@pytest.mark.parametrize(
    ("history", "success"),
    [
        pytest.param(h.SCALING, h.scaled_out(1), id="routes were made"),
        pytest.param(h.SCALING_MATCHED, h.terminating(1), id="routes were taken away"),
        pytest.param(h.SCALING_MATCHED, e.DeploymentReady(at=NOW, replicas=2), id="the count matches"),
        pytest.param(h.READY_SHORT, e.ReplicaCountMismatched(at=NOW, expected=2, actual=1), id="the count was checked"),
    ],
)
def test_success_in_scaling_is_the_end_of_its_failure(history: h.History, success: e.DeploymentEvent) -> None:
    failed = given(*history).when(SCALE)

    assert given(*history, *failed.events, success).state != failed.state
    state = given(*history, *failed.events, success).state
    assert state is not None
    assert state.failures == {}


def test_the_end_of_one_failure_leaves_the_others() -> None:
    both = given(*h.SCALING).when(SCALE).and_when(h.failure_of(Operation.CHECK_PENDING))

    scaled = both.and_when(c.ScaleOut(deployment_id=h.DEPLOYMENT, count=2, revision_id=h.REVISION.revision_id))

    assert set(scaled.state.failures) == {Operation.CHECK_PENDING}


def test_a_calculation_that_works_again_ends_its_failure_even_if_nothing_changes() -> None:
    same = ScalingDecision(previous=2, desired=2, reason=DecisionReason.MANUAL)
    command = c.RecordDesiredReplicas(deployment_id=h.DEPLOYMENT, decision=same)
    failed = given(*h.READY).when(h.failure_of(Operation.CALCULATE))

    works = failed.and_when(command).then_events(e.DesiredReplicasCalculated)

    assert works.state.failures == {}
    works.and_when(command).then_nothing()


def test_a_new_policy_is_the_end_of_a_failed_calculation() -> None:
    failed = given(*h.READY).when(h.failure_of(Operation.CALCULATE))

    assert failed.and_when(c.SetScalingPolicy(deployment_id=h.DEPLOYMENT, policy=h.POLICY)).state.failures == {}


def test_what_failed_before_a_destruction_does_not_delay_it() -> None:
    failed = given(*h.DESTROYING).when(h.failure_of(Operation.DESTROY)).and_when(SCALE)

    assert failed.and_when(c.DestroyDeployment(deployment_id=h.DEPLOYMENT, force=True)).state.failures == {}


def test_the_reason_for_giving_up_is_cut_to_what_an_event_holds() -> None:
    forced = given(*h.READY).when(c.DestroyDeployment(deployment_id=h.DEPLOYMENT, force=True))

    refused = h.failure_of(Operation.DESTROY, kind=FailureKind.PERMANENT).model_copy(update={"reason": "x" * 2000})
    gave_up = forced.and_when(refused)

    [abandoned] = [event for event in gave_up.events if isinstance(event, e.EndpointAbandoned)]
    assert len(abandoned.reason) == 2000
