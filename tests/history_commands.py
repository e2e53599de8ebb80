"""What may be asked of a deployment in a random history: mostly what makes sense, sometimes what does not."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from domain import commands as c
from domain.autoscaling.decision import DecisionReason, RuleEvaluation, ScalingDecision
from domain.autoscaling.rules import Comparator, MetricSource, Pause, ScalingPolicy, StepRule
from domain.deployment import Deployment
from domain.failures import FailureKind
from domain.limits import DecisionLimits
from domain.operations import Operation
from domain.revision import Revision
from domain.routes import RouteStatus, termination_order
from domain.work import next_work

_SOMEBODY = UUID(int=7)
_RULE = StepRule(
    name="busy", source=MetricSource.KERNEL, metric="load", comparator=Comparator.GREATER_THAN, threshold=0.8, step=1
)


class Step(NamedTuple):
    """Something that is asked: of which deployment, what, in which variant, and how many seconds after the last."""

    deployment: int
    kind: str
    variant: int
    seconds: int


Command = Callable[[Deployment, Step, datetime], c.AnyCommand]


def create(deployment_id: UUID, step: Step) -> c.CreateDeployment:
    return c.CreateDeployment(
        deployment_id=deployment_id,
        name=f"chat-{step.deployment}",
        resource_group="default",
        domain="research",
        project=_SOMEBODY,
        owner=_SOMEBODY,
        open_to_public=step.variant % 2 == 0,
        replica_count=step.variant % 4,
        target_revision=None if step.variant % 3 == 0 else _revision(),
        scaling_policy=None if step.variant % 5 else ScalingPolicy(rules=(_RULE,), min_replicas=2),
    )


def _revision() -> Revision:
    return Revision(revision_id=UUID(int=99), image="registry/vllm:1", model="llama", runtime_variant="vllm")


def _report(state: Deployment, step: Step, _now: datetime) -> c.ReportRoutes:
    routes = sorted(state.routes) or [UUID(int=5)]
    statuses = list(RouteStatus)
    chosen = [routes[(step.variant + number) % len(routes)] for number in range(1 + step.variant % 4)]
    return c.ReportRoutes(
        deployment_id=state.id,
        reports=tuple(
            c.RouteReport(route_id=route, status=statuses[(step.variant // 2 + number) % len(statuses)], detail="seen")
            for number, route in enumerate(chosen)
        ),
    )


def _report_all_as(status: RouteStatus) -> Command:
    def report(state: Deployment, _step: Step, _now: datetime) -> c.ReportRoutes:
        routes = sorted(state.routes) or [UUID(int=5)]
        reports = tuple(c.RouteReport(route_id=route, status=status) for route in routes)
        return c.ReportRoutes(deployment_id=state.id, reports=reports)

    return report


def _scale(state: Deployment, step: Step, _now: datetime) -> c.AnyCommand:
    missing = state.target_replica_count - state.active_count
    if missing > 0:
        return c.ScaleOut(deployment_id=state.id, count=1 + step.variant % missing, revision_id=UUID(int=99))
    victims = termination_order(state.active_routes)[: -missing or None]
    return c.TerminateRoutes(deployment_id=state.id, route_ids=frozenset(route.id for route in victims))


def _work(state: Deployment, step: Step, now: datetime) -> c.AnyCommand:
    """Do what the deployment is due for, whether or not its time has come."""
    work = next_work(state, DecisionLimits())
    match work and work.operation:
        case Operation.CHECK_PENDING if state.endpoint.registration is None:
            return _start_registration(state, step, now)
        case Operation.CHECK_PENDING:
            return c.RecordEndpointRegistered(deployment_id=state.id, url=f"https://{state.name}.example")
        case Operation.CHECK_READY if state.active_count != state.target_replica_count:
            return c.RecordReplicaCountMismatch(deployment_id=state.id, expected=1, actual=2)
        case Operation.CHECK_READY:
            return c.RecordReady(deployment_id=state.id)
        case Operation.SCALE:
            return _scale(state, step, now)
        case Operation.EVICT:
            return c.EvictRoutes(deployment_id=state.id, unhealthy_since=now)
        case Operation.EXPIRE_OVERRIDE:
            return c.ExpireReplicaOverride(deployment_id=state.id)
        case Operation.DESTROY if state.forced and step.variant % 2:
            return _failure(state, Operation.DESTROY, step, now)
        case Operation.DESTROY if state.active_count:
            routes = frozenset(route.id for route in state.active_routes)
            return c.TerminateRoutes(deployment_id=state.id, route_ids=routes)
        case Operation.DESTROY:
            return c.RecordEndpointUnregistered(deployment_id=state.id, sent_at=now)
        case _:
            return c.SetReplicaCount(deployment_id=state.id, replica_count=step.variant % 6)


def _fail(state: Deployment, step: Step, now: datetime) -> c.RecordOperationFailure:
    operations = list(Operation)
    return _failure(state, operations[step.variant % len(operations)], step, now)


def _failure(state: Deployment, operation: Operation, step: Step, now: datetime) -> c.RecordOperationFailure:
    return c.RecordOperationFailure(
        deployment_id=state.id,
        operation=operation,
        code="proxy-target-missing" if step.variant % 3 == 0 else "timeout",
        reason="it did not work",
        kind=list(FailureKind)[step.variant % len(FailureKind)],
        next_attempt_at=now + timedelta(seconds=step.variant),
    )


def _desire(state: Deployment, step: Step, now: datetime) -> c.RecordDesiredReplicas:
    desired = step.variant % 6
    evaluation = RuleEvaluation(
        rule=_RULE.name,
        source=_RULE.source,
        metric_name=_RULE.metric,
        metric=0.1 * step.variant,
        samples=3,
        watermark=now,
        comparator=Comparator.GREATER_THAN,
        threshold=0.8,
        unclamped=desired,
        proposed=desired,
    )
    ruled = step.variant % 2 == 0
    decision = ScalingDecision(
        previous=state.target_replica_count,
        desired=desired,
        reason=DecisionReason.RULE if ruled else DecisionReason.MANUAL,
        evaluation=evaluation if ruled else None,
    )
    return c.RecordDesiredReplicas(deployment_id=state.id, decision=decision)


def _destroy(state: Deployment, step: Step, _now: datetime) -> c.AnyCommand:
    # Seldom, or histories would be over before much has happened.
    if step.variant < 70 and not state.lifecycle.is_ending:
        return c.SetReplicaCount(deployment_id=state.id, replica_count=step.variant % 6)
    return c.DestroyDeployment(deployment_id=state.id, force=step.variant % 4 == 0)


def _override(state: Deployment, step: Step, now: datetime) -> c.OverrideReplicas:
    until = None if step.variant % 2 else now + timedelta(seconds=step.variant + 1)
    return c.OverrideReplicas(deployment_id=state.id, replica_count=step.variant % 5, until=until)


def _set_policy(state: Deployment, step: Step, _now: datetime) -> c.SetScalingPolicy:
    rules = (_RULE,) if step.variant % 2 else ()
    policy = ScalingPolicy(rules=rules, min_replicas=step.variant % 3, max_replicas=3 + step.variant % 5)
    return c.SetScalingPolicy(deployment_id=state.id, policy=policy)


def _start_registration(state: Deployment, step: Step, now: datetime) -> c.StartEndpointRegistration:
    deadline = now + timedelta(seconds=step.variant)
    settles_at = deadline + timedelta(seconds=30)
    return c.StartEndpointRegistration(deployment_id=state.id, deadline=deadline, settles_at=settles_at)


#: What may be asked of a deployment that is there.
COMMANDS: Mapping[str, Command] = {
    "create": lambda state, step, _: create(state.id, step),
    "set_target_revision": lambda state, _step, _: c.SetTargetRevision(deployment_id=state.id, revision=_revision()),
    "set_replica_count": lambda state, step, _: c.SetReplicaCount(
        deployment_id=state.id, replica_count=step.variant % 6
    ),
    "set_scaling_policy": _set_policy,
    "pause_scaling": lambda state, step, _: c.PauseScaling(
        deployment_id=state.id, pause=list(Pause)[step.variant % len(Pause)]
    ),
    "override_replicas": _override,
    "expire_override": lambda state, _step, _: c.ExpireReplicaOverride(deployment_id=state.id),
    "start_registration": _start_registration,
    "endpoint_registered": lambda state, _step, _: c.RecordEndpointRegistered(
        deployment_id=state.id, url=f"https://{state.name}.example"
    ),
    "scale": _scale,
    "report": _report,
    "report_healthy": _report_all_as(RouteStatus.HEALTHY),
    "report_terminated": _report_all_as(RouteStatus.TERMINATED),
    "evict": lambda state, _step, now: c.EvictRoutes(deployment_id=state.id, unhealthy_since=now),
    "desire": _desire,
    "mismatch": lambda state, _step, _: c.RecordReplicaCountMismatch(deployment_id=state.id, expected=1, actual=2),
    "ready": lambda state, _step, _: c.RecordReady(deployment_id=state.id),
    "fail": _fail,
    "destroy": _destroy,
    "work": _work,
    "endpoint_unregistered": lambda state, _step, now: c.RecordEndpointUnregistered(
        deployment_id=state.id, sent_at=now
    ),
}
