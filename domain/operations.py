"""The operations that a deployment may be due for, and how the last try of one went wrong."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from domain.failures import FailureKind

#: What may cause events too, though no deployment is due for it: the command of that name.
NEW_INCARNATION: Final = "new-incarnation"


class Operation(StrEnum):
    """The operations that a deployment may be due for."""

    CHECK_PENDING = "check_pending_deployments"
    CHECK_READY = "check_ready_deployments_that_need_scaling"
    SCALE = "scale_deployment"
    CALCULATE = "calculate_desired_replicas"
    DESTROY = "destroy_deployment"
    EVICT = "evict_unhealthy_routes"
    EXPIRE_OVERRIDE = "expire_replica_override"


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
