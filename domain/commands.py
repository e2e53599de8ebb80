"""Everything that may be asked of a deployment, imperative, as two closed unions.

:data:`ExternalCommand` comes from people and programs through Kafka; :data:`InternalCommand` is what the executor and
the reconciler found out or want, decided by the same rules as any other.
"""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from domain.autoscaling.decision import ScalingDecision
from domain.autoscaling.rules import Pause, ScalingPolicy
from domain.failures import FailureKind
from domain.message import Explanation, Message, Moment, Name, ReplicaCount
from domain.operations import Operation
from domain.revision import Revision
from domain.routes import RouteStatus

#: Most routes in one report, and in one event (count).
MAX_ROUTES_PER_MESSAGE = 500


class Command(Message):
    """What every command has: the deployment that it is for."""

    deployment_id: UUID


class CreateDeployment(Command):
    """Begin a deployment; sent again with the same content it changes nothing."""

    name: Name
    resource_group: Name
    domain: Name
    project: UUID
    owner: UUID
    open_to_public: bool = False
    replica_count: ReplicaCount = 1
    target_revision: Revision | None = None
    scaling_policy: ScalingPolicy | None = None


class SetTargetRevision(Command):
    """Say what the deployment runs."""

    revision: Revision


class SetReplicaCount(Command):
    """Set the number of replicas by hand; scaling rules go on from there."""

    replica_count: ReplicaCount


class SetScalingPolicy(Command):
    """Replace the scaling rules and bounds."""

    policy: ScalingPolicy


class PauseScaling(Command):
    """Say what the scaling rules may not do for now; it comes on top of the policy's own pause and outlives it."""

    pause: Pause


class OverrideReplicas(Command):
    """Hold the number of replicas and suspend the rules, until a moment or (``None``) until told otherwise."""

    replica_count: ReplicaCount
    until: Moment | None = None


class DestroyDeployment(Command):
    """Take the deployment down; with ``force`` without waiting for a dead runtime or a missing proxy."""

    force: bool = False


class RouteReport(Message):
    """What became of one route."""

    route_id: UUID
    status: RouteStatus
    detail: Explanation = ""


class ReportRoutes(Command):
    """An observation of one or several routes by whatever runs the replicas."""

    reports: Annotated[tuple[RouteReport, ...], Field(min_length=1, max_length=MAX_ROUTES_PER_MESSAGE)]


class StartEndpointRegistration(Command):
    """Announce a create call to the proxy that ends by ``deadline`` and whose echo is over by ``settles_at``."""

    deadline: Moment
    settles_at: Moment


class RecordEndpointRegistered(Command):
    """The proxy answered with the endpoint's URL."""

    url: Annotated[str, Field(min_length=1, max_length=2000)]


class DoubtEndpoint(Command):
    """Nobody knows what the proxy holds: the log was restored; earlier calls may take effect until ``settles_at``."""

    settles_at: Moment


class RecordEndpointUnregistered(Command):
    """The proxy confirmed a delete that was sent at ``sent_at``."""

    sent_at: Moment


class RecordOperationFailure(Command):
    """An operation failed and is tried again at ``next_attempt_at``; ``code`` is a word that programs may compare."""

    operation: Operation
    code: Name
    reason: Explanation
    detail: Explanation = ""
    kind: FailureKind
    next_attempt_at: Moment


class ScaleOut(Command):
    """Add ``count`` routes of the given revision, each with ``traffic_ratio`` as its weight."""

    count: Annotated[int, Field(ge=1)]
    revision_id: UUID
    traffic_ratio: Annotated[float, Field(ge=0)] = 1.0


class TerminateRoutes(Command):
    """Take these routes away."""

    route_ids: frozenset[UUID]


class EvictRoutes(Command):
    """Replace the routes that have been unhealthy since ``unhealthy_since`` or longer."""

    unhealthy_since: Moment


class RecordDesiredReplicas(Command):
    """Autoscaling came to a number of replicas."""

    decision: ScalingDecision


class RecordReplicaCountMismatch(Command):
    """The number of active routes was found to differ from the target."""

    expected: ReplicaCount
    actual: ReplicaCount


class RecordReady(Command):
    """The number of active routes was found to match the target."""


class ExpireReplicaOverride(Command):
    """The time of the override is over."""


#: What may arrive from outside.
ExternalCommand = (
    CreateDeployment
    | SetTargetRevision
    | SetReplicaCount
    | SetScalingPolicy
    | PauseScaling
    | OverrideReplicas
    | DestroyDeployment
    | ReportRoutes
)

#: What the executor and the reconciler say.
InternalCommand = (
    StartEndpointRegistration
    | RecordEndpointRegistered
    | DoubtEndpoint
    | RecordEndpointUnregistered
    | RecordOperationFailure
    | ScaleOut
    | TerminateRoutes
    | EvictRoutes
    | RecordDesiredReplicas
    | RecordReplicaCountMismatch
    | RecordReady
    | ExpireReplicaOverride
)

#: Everything that a deployment can be asked.
AnyCommand = ExternalCommand | InternalCommand
