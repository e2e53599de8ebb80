"""What a lifecycle word cannot say of a deployment, in the Kubernetes manner: conditions with a status and a reason.

Derived from state alone and without time; when a condition last changed its status is for whoever watches it to note.
"""

from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple, Self

from domain.deployment import Deployment, Lifecycle
from domain.operations import Operation

#: The failure code of an operation that found no app proxy for the deployment's resource group.
PROXY_TARGET_MISSING = "proxy-target-missing"


class ConditionType(StrEnum):
    """What is asked about a deployment."""

    ENDPOINT_REGISTERED = "EndpointRegistered"
    AVAILABLE = "Available"
    PROGRESSING = "Progressing"
    PROXY_TARGET_MISSING = "ProxyTargetMissing"
    #: Not of the deployment's own state: added by whoever knows the pauses.
    PAUSED = "Paused"


class ConditionStatus(StrEnum):
    """The answer."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(NamedTuple):
    """One answer; ``reason`` is a word that programs may compare, ``message`` is for people."""

    type: ConditionType
    status: ConditionStatus
    reason: str
    message: str


class Circumstances(NamedTuple):
    """All that the conditions depend on.

    ``balance`` is -1, 0 or 1: fewer, as many, or more active routes than wanted. ``endpoint_unsure`` says that there is
    no endpoint yet but a create call may still bring one. The failures are codes of operations that have not succeeded
    since, ``None`` where all is well.
    """

    lifecycle: Lifecycle
    has_revision: bool
    has_endpoint: bool
    endpoint_unsure: bool
    balance: int
    wants_replicas: bool
    has_healthy: bool
    starts_fail: bool
    registration_failure: str | None
    scaling_failure: str | None
    destruction_failure: str | None

    @classmethod
    def of(cls, state: Deployment) -> Self:
        """Read them off a deployment."""
        failures = {operation: failure.code for operation, failure in state.failures.items()}
        return cls(
            lifecycle=state.lifecycle,
            has_revision=state.target_revision is not None,
            has_endpoint=state.endpoint.url is not None,
            endpoint_unsure=state.endpoint.url is None and state.endpoint.may_exist,
            balance=balance(state.active_count, state.target_replica_count),
            wants_replicas=state.target_replica_count > 0,
            has_healthy=state.healthy_count > 0,
            starts_fail=state.start_failures > 0,
            registration_failure=failures.get(Operation.CHECK_PENDING),
            scaling_failure=failures.get(Operation.SCALE),
            destruction_failure=failures.get(Operation.DESTROY),
        )


def balance(active: int, target: int) -> int:
    """Whether there are fewer (-1), as many (0) or more (1) active routes than wanted."""
    return (active > target) - (active < target)


def conditions(state: Deployment) -> tuple[Condition, ...]:
    """Give every condition of a deployment, always in the same order."""
    return conditions_in(Circumstances.of(state))


@lru_cache(maxsize=4096)
def conditions_in(given: Circumstances) -> tuple[Condition, ...]:
    """Give every condition that follows from the circumstances, always in the same order."""
    return (
        Condition(ConditionType.ENDPOINT_REGISTERED, *_endpoint_registered(given)),
        Condition(ConditionType.AVAILABLE, *_available(given)),
        Condition(ConditionType.PROGRESSING, *_progressing(given)),
        Condition(ConditionType.PROXY_TARGET_MISSING, *_proxy_target_missing(given)),
    )


_Answer = tuple[ConditionStatus, str, str]


def _endpoint_registered(given: Circumstances) -> _Answer:
    if given.has_endpoint:
        return ConditionStatus.TRUE, "Registered", "the app proxy serves the endpoint"
    if given.endpoint_unsure:
        return ConditionStatus.UNKNOWN, "AnswerOutstanding", "a create call to the app proxy may still take effect"
    if given.lifecycle.is_ending:
        return ConditionStatus.FALSE, "Unregistered", "no endpoint at the app proxy is known of any more"
    if not given.has_revision:
        return ConditionStatus.FALSE, "NoTargetRevision", "nothing was said yet about what the deployment runs"
    if given.registration_failure is not None:
        return ConditionStatus.FALSE, "RegistrationFailed", f"the last try failed: {given.registration_failure}"
    return ConditionStatus.FALSE, "NotRegisteredYet", "the endpoint is about to be registered"


def _available(given: Circumstances) -> _Answer:
    if given.has_healthy:
        return ConditionStatus.TRUE, "HealthyReplicas", "at least one replica is healthy"
    if given.lifecycle is Lifecycle.DESTROYED:
        return ConditionStatus.FALSE, "Destroyed", "the deployment is gone"
    if not given.wants_replicas:
        return ConditionStatus.FALSE, "ScaledToZero", "no replicas are wanted"
    if given.starts_fail:
        return ConditionStatus.FALSE, "ReplicasFailToStart", "no replica is healthy and the last ones failed to start"
    return ConditionStatus.FALSE, "NoHealthyReplicas", "no replica is healthy"


def _progressing(given: Circumstances) -> _Answer:
    match given.lifecycle:
        case Lifecycle.PENDING:
            return _registering(given)
        case Lifecycle.SCALING:
            return _scaling(given)
        case Lifecycle.READY:
            if given.balance == 0:
                return ConditionStatus.FALSE, "ReplicasMatch", "there are as many active replicas as wanted"
            return (
                ConditionStatus.TRUE,
                "ReplicaCountChanged",
                "the number of active replicas is no longer the wanted one",
            )
        case Lifecycle.DESTROYING:
            if given.destruction_failure is not None:
                return ConditionStatus.TRUE, "DestructionRetried", f"the last try failed: {given.destruction_failure}"
            return ConditionStatus.TRUE, "Destroying", "routes and endpoint are being taken down"
        case Lifecycle.DESTROYED:
            return ConditionStatus.FALSE, "Destroyed", "the deployment is gone"


def _registering(given: Circumstances) -> _Answer:
    if not given.has_revision:
        return ConditionStatus.FALSE, "NoTargetRevision", "nothing was said yet about what the deployment runs"
    if given.registration_failure is not None:
        return ConditionStatus.TRUE, "RegistrationRetried", f"the last try failed: {given.registration_failure}"
    return ConditionStatus.TRUE, "RegisteringEndpoint", "the endpoint is being registered at the app proxy"


def _scaling(given: Circumstances) -> _Answer:
    if given.balance < 0 and not given.has_revision:
        return ConditionStatus.FALSE, "NoTargetRevision", "nothing was said yet about what the deployment runs"
    if given.balance < 0 and given.starts_fail:
        return (
            ConditionStatus.TRUE,
            "WaitingAfterFailedStarts",
            "replicas failed to start; new ones are made more slowly",
        )
    if given.scaling_failure is not None:
        return ConditionStatus.TRUE, "ScalingRetried", f"the last try failed: {given.scaling_failure}"
    return ConditionStatus.TRUE, "Scaling", "the number of active replicas is being brought to the wanted one"


def _proxy_target_missing(given: Circumstances) -> _Answer:
    if PROXY_TARGET_MISSING in {given.registration_failure, given.destruction_failure}:
        return ConditionStatus.TRUE, "NoProxyTarget", "no app proxy is set up for the resource group"
    return ConditionStatus.FALSE, "NoneMissed", "no operation has missed an app proxy"
