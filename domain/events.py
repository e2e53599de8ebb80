"""Everything that can have happened to a deployment, past tense, as one closed union.

Each event has a stable ``name`` with a version in it. The name, not the class, is what is stored; a class may be
renamed or moved, a name never, and a changed shape is a new name beside the old one.
"""

from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field

from domain.autoscaling.decision import ScalingDecision
from domain.autoscaling.rules import Pause, ScalingPolicy
from domain.commands import MAX_ROUTES_PER_MESSAGE
from domain.failures import FailureKind
from domain.message import Explanation, Message, Moment, Name, ReplicaCount
from domain.operations import Operation
from domain.revision import Revision
from domain.routes import RouteStatus, TerminationReason

RouteIds = Annotated[tuple[UUID, ...], Field(min_length=1, max_length=MAX_ROUTES_PER_MESSAGE)]


class Event(Message):
    """What every event has: when it was decided."""

    name: ClassVar[str]
    at: Moment


class DeploymentCreated(Event):
    """A deployment began; ``digest`` (SHA-256, hexadecimal) identifies the command's content."""

    name: ClassVar[str] = "deployment.created.v1"
    deployment_id: UUID
    deployment_name: Name
    resource_group: Name
    domain: Name
    project: UUID
    owner: UUID
    open_to_public: bool
    replica_count: ReplicaCount
    digest: str


class TargetRevisionSet(Event):
    """It is known what the deployment runs."""

    name: ClassVar[str] = "deployment.target-revision-set.v1"
    revision: Revision


class ReplicaCountSet(Event):
    """The number of replicas was set by hand; what the rules had desired is void."""

    name: ClassVar[str] = "deployment.replica-count-set.v1"
    previous: ReplicaCount
    replica_count: ReplicaCount


class ScalingPolicySet(Event):
    """The scaling rules and bounds were replaced."""

    name: ClassVar[str] = "deployment.scaling-policy-set.v1"
    policy: ScalingPolicy


class ScalingPauseSet(Event):
    """What the scaling rules may not do for now, besides what the policy itself pauses, was said anew."""

    name: ClassVar[str] = "deployment.scaling-pause-set.v1"
    pause: Pause


class ReplicasOverridden(Event):
    """The number of replicas is held, and the rules are suspended, ``until`` a moment or for good."""

    name: ClassVar[str] = "deployment.replicas-overridden.v1"
    replica_count: ReplicaCount
    until: Moment | None


class ReplicaOverrideExpired(Event):
    """The override is over; from here on ``desired_replica_count`` counts (``None``: the number set by hand)."""

    name: ClassVar[str] = "deployment.replica-override-expired.v1"
    desired_replica_count: ReplicaCount | None


class EndpointRegistrationStarted(Event):
    """A create call goes out: it ends by ``deadline``, and what the proxy makes of it is done by ``settles_at``."""

    name: ClassVar[str] = "deployment.endpoint-registration-started.v1"
    deadline: Moment
    settles_at: Moment


class EndpointRegistered(Event):
    """The proxy serves the deployment at ``url``."""

    name: ClassVar[str] = "deployment.endpoint-registered.v1"
    url: str


class EndpointDoubted(Event):
    """Nobody knows what the proxy holds: the log was restored; earlier calls may take effect until ``settles_at``."""

    name: ClassVar[str] = "deployment.endpoint-doubted.v1"
    settles_at: Moment


class OperationFailed(Event):
    """What the events about failures share: the ``attempts`` in a row, and when the next one is."""

    code: Name
    reason: Explanation
    detail: Explanation
    kind: FailureKind
    attempts: Annotated[int, Field(ge=1)]
    next_attempt_at: Moment
    operation: ClassVar[Operation]


class EndpointRegistrationFailed(OperationFailed):
    """The endpoint could not be registered, or (``kind`` unknown) nobody can tell."""

    name: ClassVar[str] = "deployment.endpoint-registration-failed.v1"
    operation: ClassVar[Operation] = Operation.CHECK_PENDING


class DesiredReplicasCalculated(Event):
    """Autoscaling came to a number of replicas; the decision holds the arithmetic."""

    name: ClassVar[str] = "deployment.desired-replicas-calculated.v1"
    decision: ScalingDecision


class DesiredReplicasCalculationFailed(OperationFailed):
    """Autoscaling could not come to a number."""

    name: ClassVar[str] = "deployment.desired-replicas-calculation-failed.v1"
    operation: ClassVar[Operation] = Operation.CALCULATE


class ScaledOut(Event):
    """Routes were added; each starts as provisioning."""

    name: ClassVar[str] = "deployment.scaled-out.v1"
    route_ids: RouteIds
    revision_id: UUID
    traffic_ratio: float


class ScalingFailed(OperationFailed):
    """The replicas could not be counted, or routes could not be added or taken away."""

    name: ClassVar[str] = "deployment.scaling-failed.v1"
    operation: ClassVar[Operation] = Operation.SCALE


class RoutesTerminating(Event):
    """Routes are to be taken away and get no more traffic."""

    name: ClassVar[str] = "deployment.routes-terminating.v1"
    route_ids: RouteIds
    reason: TerminationReason


class RouteStatusChange(Message):
    """One route went from one status to another."""

    route_id: UUID
    previous: RouteStatus
    status: RouteStatus
    detail: Explanation = ""


class RouteStatusReported(Event):
    """Routes were reported with a new status.

    ``start_failures`` counts replicas in a row that failed to start; until ``scale_out_not_before`` no new ones are
    made.
    """

    name: ClassVar[str] = "deployment.route-status-reported.v1"
    changes: Annotated[tuple[RouteStatusChange, ...], Field(min_length=1, max_length=MAX_ROUTES_PER_MESSAGE)]
    start_failures: Annotated[int, Field(ge=0)]
    scale_out_not_before: Moment | None


class ReplicaCountMismatched(Event):
    """The number of active routes was found to differ from the target."""

    name: ClassVar[str] = "deployment.replica-count-mismatched.v1"
    expected: ReplicaCount
    actual: ReplicaCount


class DeploymentReady(Event):
    """The number of active routes matches the target."""

    name: ClassVar[str] = "deployment.ready.v1"
    replicas: ReplicaCount


class DestructionRequested(Event):
    """Somebody wants the deployment gone."""

    name: ClassVar[str] = "deployment.destruction-requested.v1"
    force: bool


class EndpointUnregistered(Event):
    """The proxy confirmed that the endpoint is gone, and nothing that was sent before can bring it back."""

    name: ClassVar[str] = "deployment.endpoint-unregistered.v1"
    sent_at: Moment


class EndpointUnregistrationFailed(OperationFailed):
    """The endpoint is not known to be gone."""

    name: ClassVar[str] = "deployment.endpoint-unregistration-failed.v1"
    operation: ClassVar[Operation] = Operation.DESTROY


class EndpointAbandoned(Event):
    """A forced destruction gave up on an endpoint that may still exist at the proxy."""

    name: ClassVar[str] = "deployment.endpoint-abandoned.v1"
    reason: Explanation


class DeploymentDestroyed(Event):
    """The deployment is gone for good; ``abandoned_routes`` counts routes that a forced destruction gave up on."""

    name: ClassVar[str] = "deployment.destroyed.v1"
    abandoned_routes: Annotated[int, Field(ge=0)]


class CommandHadNoEffect(Event):
    """A command asked for what already was."""

    name: ClassVar[str] = "deployment.command-had-no-effect.v1"
    command: Name
    reason: Explanation


#: Everything that can have happened to a deployment.
DeploymentEvent = (
    DeploymentCreated
    | TargetRevisionSet
    | ReplicaCountSet
    | ScalingPolicySet
    | ScalingPauseSet
    | ReplicasOverridden
    | ReplicaOverrideExpired
    | EndpointRegistrationStarted
    | EndpointRegistered
    | EndpointDoubted
    | EndpointRegistrationFailed
    | DesiredReplicasCalculated
    | DesiredReplicasCalculationFailed
    | ScaledOut
    | ScalingFailed
    | RoutesTerminating
    | RouteStatusReported
    | ReplicaCountMismatched
    | DeploymentReady
    | DestructionRequested
    | EndpointUnregistered
    | EndpointUnregistrationFailed
    | EndpointAbandoned
    | DeploymentDestroyed
    | CommandHadNoEffect
)
