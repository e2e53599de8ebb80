import pytest

from domain import events as e
from domain.conditions import PROXY_TARGET_MISSING, ConditionStatus, ConditionType, conditions
from domain.evolve import replay
from domain.failures import FailureKind
from domain.routes import RouteStatus
from tests.domain import histories as h
from tests.domain.scenario import NOW, after

FAILED_TO_START = h.reported(RouteStatus.FAILED_TO_START, 1, 2, start_failures=2, scale_out_not_before=after(60))


def failed(event: type[e.OperationFailed], code: str = "timeout", kind: FailureKind = FailureKind.TRANSIENT) -> e.Event:
    """An operation failed with a code."""
    return event(at=NOW, code=code, reason="", detail="", kind=kind, attempts=1, next_attempt_at=after(1))


REGISTRATION_FAILED = failed(e.EndpointRegistrationFailed)
REGISTRATION_UNANSWERED = failed(e.EndpointRegistrationFailed, kind=FailureKind.UNKNOWN)
COUNT_SET_TO_ZERO = e.ReplicaCountSet(at=NOW, previous=2, replica_count=0)


def condition(history: tuple[e.Event, ...], kind: ConditionType) -> tuple[str, str]:
    """Status and reason of one condition after a history."""
    state = replay(history)  # type: ignore[arg-type] # a history holds events of deployments only
    assert state is not None
    (found,) = [each for each in conditions(state) if each.type is kind]
    assert found.message
    return found.status.value, found.reason


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        (h.PENDING, ("False", "NoTargetRevision")),
        (h.PENDING_WITH_REVISION, ("False", "NotRegisteredYet")),
        (h.REGISTERING, ("Unknown", "AnswerOutstanding")),
        ((*h.REGISTERING, REGISTRATION_UNANSWERED), ("Unknown", "AnswerOutstanding")),
        ((*h.PENDING_WITH_REVISION, REGISTRATION_FAILED), ("False", "RegistrationFailed")),
        (h.SCALING, ("True", "Registered")),
        ((*h.READY, h.registration_started(), REGISTRATION_FAILED), ("True", "Registered")),
        (h.DESTROYING, ("True", "Registered")),
        (h.DESTROYING_UNREGISTERED, ("False", "Unregistered")),
        (h.DESTROYED, ("False", "Unregistered")),
    ],
)
def test_endpoint_registered_says_what_is_known_of_the_endpoint(
    history: tuple[e.Event, ...], expected: tuple[str, str]
) -> None:
    assert condition(history, ConditionType.ENDPOINT_REGISTERED) == expected


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        (h.PENDING, ("False", "NoHealthyReplicas")),
        (h.SCALING_MATCHED, ("False", "NoHealthyReplicas")),
        (h.READY, ("True", "HealthyReplicas")),
        (h.READY_SHORT, ("True", "HealthyReplicas")),
        ((*h.SCALING_MATCHED, FAILED_TO_START), ("False", "ReplicasFailToStart")),
        ((*h.PENDING, COUNT_SET_TO_ZERO), ("False", "ScaledToZero")),
        (h.DESTROYING, ("True", "HealthyReplicas")),
        (h.DESTROYED, ("False", "Destroyed")),
    ],
)
def test_available_says_whether_any_replica_is_healthy(history: tuple[e.Event, ...], expected: tuple[str, str]) -> None:
    assert condition(history, ConditionType.AVAILABLE) == expected


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        (h.PENDING, ("False", "NoTargetRevision")),
        (h.PENDING_WITH_REVISION, ("True", "RegisteringEndpoint")),
        ((*h.PENDING_WITH_REVISION, REGISTRATION_FAILED), ("True", "RegistrationRetried")),
        (h.SCALING, ("True", "Scaling")),
        (h.SCALING_MATCHED, ("True", "Scaling")),
        ((*h.SCALING, failed(e.ScalingFailed)), ("True", "ScalingRetried")),
        ((*h.SCALING_MATCHED, FAILED_TO_START), ("True", "WaitingAfterFailedStarts")),
        (h.READY, ("False", "ReplicasMatch")),
        (h.READY_SHORT, ("True", "ReplicaCountChanged")),
        (h.DESTROYING, ("True", "Destroying")),
        ((*h.DESTROYING, failed(e.EndpointUnregistrationFailed)), ("True", "DestructionRetried")),
        (h.DESTROYED, ("False", "Destroyed")),
    ],
)
def test_progressing_says_what_is_under_way(history: tuple[e.Event, ...], expected: tuple[str, str]) -> None:
    assert condition(history, ConditionType.PROGRESSING) == expected


@pytest.mark.parametrize(
    ("history", "status"),
    [
        (h.READY, "False"),
        ((*h.PENDING_WITH_REVISION, REGISTRATION_FAILED), "False"),
        ((*h.PENDING_WITH_REVISION, failed(e.EndpointRegistrationFailed, PROXY_TARGET_MISSING)), "True"),
        ((*h.DESTROYING, failed(e.EndpointUnregistrationFailed, PROXY_TARGET_MISSING)), "True"),
        ((*h.SCALING, failed(e.ScalingFailed, PROXY_TARGET_MISSING)), "False"),
        ((*h.READY, failed(e.EndpointRegistrationFailed, PROXY_TARGET_MISSING), *h.SCALING[-1:]), "False"),
    ],
)
def test_proxy_target_missing_says_whether_an_operation_found_none(history: tuple[e.Event, ...], status: str) -> None:
    assert condition(history, ConditionType.PROXY_TARGET_MISSING)[0] == status


def test_every_condition_is_always_told_in_the_same_order() -> None:
    for history in (h.PENDING, h.READY, h.DESTROYED):
        state = replay(history)
        assert state is not None
        assert [each.type for each in conditions(state)] == [
            each for each in ConditionType if each is not ConditionType.PAUSED
        ]
        assert all(each.status in ConditionStatus for each in conditions(state))
