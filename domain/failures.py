"""How an operation failed, as a value that policy can act on."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class FailureKind(StrEnum):
    """What is known about a call that did not succeed."""

    #: A definite answer: nothing took effect, and trying again may help.
    TRANSIENT = "transient"
    #: No definite answer: the call may still take effect.
    UNKNOWN = "unknown"
    #: A definite answer: nothing took effect, and trying again changes nothing until something else does.
    PERMANENT = "permanent"


class Operation(StrEnum):
    """The operations that a deployment may be due for."""

    CHECK_PENDING = "check_pending_deployments"
    CHECK_READY = "check_ready_deployments_that_need_scaling"
    SCALE = "scale_deployment"
    CALCULATE = "calculate_desired_replicas"
    DESTROY = "destroy_deployment"
    EVICT = "evict_unhealthy_routes"
    EXPIRE_OVERRIDE = "expire_replica_override"
    REASSERT = "reassert_endpoint"


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationFailure:
    """The last failure of an operation that has not succeeded since.

    ``attempts`` counts the failures in a row; ``version`` is the deployment's version that recorded this one.
    """

    code: str
    reason: str
    kind: FailureKind
    attempts: int
    failed_at: datetime
    next_attempt_at: datetime
    version: int
