"""What has happened to the deployment of the domain's tests, an hour ago, up to each station of its life."""

from datetime import datetime, timedelta
from uuid import UUID

from domain import commands as c
from domain import events as e
from domain.autoscaling.decision import DecisionReason, RuleEvaluation, ScalingDecision
from domain.autoscaling.rules import Comparator, MetricSource, ScalingPolicy, StepRule
from domain.decide import decide
from domain.failures import FailureKind
from domain.operations import Operation
from domain.revision import HealthCheck, Revision
from domain.routes import Route, RouteStatus, TerminationReason
from tests.domain.scenario import NOW, numbered_ids

EARLIER = NOW - timedelta(hours=1)

DEPLOYMENT = UUID("0198c0de-0000-4000-8000-000000000001")
PROJECT = UUID("0198c0de-0000-4000-8000-000000000002")
OWNER = UUID("0198c0de-0000-4000-8000-000000000003")

REVISION = Revision(
    revision_id=UUID("0198c0de-0000-4000-8000-000000000004"),
    image="registry.example/vllm:1.2",
    model="llama",
    health_check=HealthCheck(path="/healthz"),
)
OTHER_REVISION = REVISION.model_copy(update={"revision_id": UUID("0198c0de-0000-4000-8000-000000000005")})

URL = "https://llama.example/"

BUSY = StepRule(
    name="busy",
    source=MetricSource.KERNEL,
    metric="gpu_util",
    comparator=Comparator.GREATER_THAN,
    threshold=80.0,
    step=1,
)
POLICY = ScalingPolicy(rules=(BUSY,), min_replicas=1, max_replicas=10)

CREATE = c.CreateDeployment(
    deployment_id=DEPLOYMENT,
    name="llama",
    resource_group="gpu",
    domain="default",
    project=PROJECT,
    owner=OWNER,
    replica_count=2,
)


def route_id(number: int) -> UUID:
    """The id of the deployment's ``number``-th route (from 1)."""
    return UUID(int=number)


def healthy(number: int) -> Route:
    """The deployment's ``number``-th route, healthy since an hour ago."""
    return Route(
        id=route_id(number),
        revision_id=REVISION.revision_id,
        status=RouteStatus.HEALTHY,
        traffic_ratio=1.0,
        created_at=EARLIER,
        status_since=EARLIER,
    )


def scaled_out(*numbers: int, at: datetime = EARLIER) -> e.ScaledOut:
    """Routes with these numbers were made."""
    ids = tuple(route_id(number) for number in numbers)
    return e.ScaledOut(at=at, route_ids=ids, revision_id=REVISION.revision_id, traffic_ratio=1.0)


def terminating(*numbers: int, reason: TerminationReason = TerminationReason.SCALE_IN) -> e.RoutesTerminating:
    """Routes with these numbers were told to go."""
    return e.RoutesTerminating(at=EARLIER, route_ids=tuple(route_id(number) for number in numbers), reason=reason)


def reported(
    status: RouteStatus,
    *numbers: int,
    previous: RouteStatus = RouteStatus.PROVISIONING,
    at: datetime = EARLIER,
    start_failures: int = 0,
    scale_out_not_before: datetime | None = None,
) -> e.RouteStatusReported:
    """Routes with these numbers came into a status."""
    return e.RouteStatusReported(
        at=at,
        changes=tuple(e.RouteStatusChange(route_id=route_id(n), previous=previous, status=status) for n in numbers),
        start_failures=start_failures,
        scale_out_not_before=scale_out_not_before,
    )


def desired(previous: int, wanted: int, reason: DecisionReason = DecisionReason.RULE) -> e.DesiredReplicasCalculated:
    """Autoscaling came to another number of replicas."""
    decision = ScalingDecision(previous=previous, desired=wanted, reason=reason)
    return e.DesiredReplicasCalculated(at=EARLIER, decision=decision)


def evaluation_of(rule: StepRule, proposed: int) -> RuleEvaluation:
    """A rule fired at a metric of 90 and proposed a number of replicas."""
    return RuleEvaluation(
        rule=rule.name,
        source=rule.source,
        metric_name=rule.metric,
        metric=90.0,
        samples=2,
        watermark=EARLIER,
        comparator=Comparator.GREATER_THAN,
        threshold=80.0,
        unclamped=proposed,
        proposed=proposed,
    )


def fired(rule: StepRule, previous: int, wanted: int) -> e.DesiredReplicasCalculated:
    """A rule changed the number of replicas."""
    evaluation = evaluation_of(rule, wanted)
    decision = ScalingDecision(previous=previous, desired=wanted, reason=DecisionReason.RULE, evaluation=evaluation)
    return e.DesiredReplicasCalculated(at=EARLIER, decision=decision)


def registration_started(
    at: datetime = EARLIER, *, deadline: float = 20, settles: float = 50
) -> e.EndpointRegistrationStarted:
    """A create call went out, to end and to settle so many seconds later."""
    return e.EndpointRegistrationStarted(
        at=at, deadline=at + timedelta(seconds=deadline), settles_at=at + timedelta(seconds=settles)
    )


def failure_of(
    operation: Operation,
    *,
    kind: FailureKind = FailureKind.TRANSIENT,
    next_attempt_at: datetime = NOW + timedelta(seconds=10),
) -> c.RecordOperationFailure:
    """The command that says that an operation failed."""
    return c.RecordOperationFailure(
        deployment_id=DEPLOYMENT,
        operation=operation,
        code="proxy-unavailable",
        reason="the proxy answered 503",
        kind=kind,
        next_attempt_at=next_attempt_at,
    )


History = tuple[e.DeploymentEvent, ...]

PENDING: History = tuple(decide(None, CREATE, now=EARLIER, ids=numbered_ids()))
PENDING_WITH_REVISION: History = (*PENDING, e.TargetRevisionSet(at=EARLIER, revision=REVISION))
REGISTERING: History = (*PENDING_WITH_REVISION, registration_started())
SCALING: History = (*REGISTERING, e.EndpointRegistered(at=EARLIER, url=URL))
SCALING_MATCHED: History = (*SCALING, scaled_out(1, 2))
READY: History = (
    *SCALING_MATCHED,
    reported(RouteStatus.HEALTHY, 1, 2),
    e.DeploymentReady(at=EARLIER, replicas=2),
)
READY_SHORT: History = (*READY, reported(RouteStatus.TERMINATED, 2, previous=RouteStatus.HEALTHY))
DESTROYING: History = (*READY, e.DestructionRequested(at=EARLIER, force=False))
DESTROYING_UNREGISTERED: History = (
    *DESTROYING,
    terminating(1, 2, reason=TerminationReason.DESTROYED),
    e.EndpointUnregistered(at=EARLIER, sent_at=EARLIER),
)
DESTROYED: History = (
    *DESTROYING_UNREGISTERED,
    reported(RouteStatus.TERMINATED, 1, 2, previous=RouteStatus.TERMINATING),
    e.DeploymentDestroyed(at=EARLIER, abandoned_routes=0),
)
