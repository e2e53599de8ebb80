"""What the golden files decode to: for every event type a minimal and a maximal example."""

from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from domain import events as e
from domain.autoscaling.decision import DecisionReason, RuleEvaluation, ScalingDecision
from domain.autoscaling.rules import Comparator, MetricSource, Pause, ScalingPolicy, StepRule
from domain.failures import FailureKind
from domain.incarnations import IncarnationBegun, RereadPartition
from domain.pauses import EffectsPaused, EffectsResumed, Everything, ResourceGroup, SingleDeployment
from domain.recorded import AnyEvent
from domain.rejections import RecordsRejected, RejectedRecord
from domain.revision import HealthCheck, Revision
from domain.routes import RouteStatus, TerminationReason

AT = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
LATER = datetime(2026, 3, 1, 12, 0, 50, tzinfo=UTC)
ONE, TWO, THREE = (UUID(f"0198c0de-0000-4000-8000-00000000000{number}") for number in (1, 2, 3))

_BARE_REVISION = Revision(revision_id=ONE, image="i", model="m")
_FULL_REVISION = Revision(
    revision_id=ONE,
    image="registry.example/vllm:1.2",
    model="llama",
    runtime_variant="vllm",
    health_check=HealthCheck(
        path="/healthz",
        interval_seconds=5.5,
        max_retries=3,
        max_wait_seconds=2.0,
        expected_status_code=204,
        initial_delay_seconds=30.0,
    ),
)
_BARE_RULE = StepRule(
    name="r",
    source=MetricSource.KERNEL,
    metric="gpu_util",
    comparator=Comparator.GREATER_THAN,
    threshold=80.0,
    step=1,
)
_FULL_RULE = StepRule(
    name="r2",
    source=MetricSource.INFERENCE_FRAMEWORK,
    metric="queued",
    comparator=Comparator.LESS_THAN_OR_EQUAL,
    threshold=0.5,
    step=-2,
    cooldown_seconds=60.0,
    min_replicas=1,
    max_replicas=8,
)
_EVALUATION = RuleEvaluation(
    rule="r2",
    source=MetricSource.INFERENCE_FRAMEWORK,
    metric_name="queued",
    metric=0.25,
    samples=1,
    watermark=AT,
    comparator=Comparator.LESS_THAN_OR_EQUAL,
    threshold=0.5,
    unclamped=0,
    proposed=1,
)
_FAILED_SHORT = {
    "at": AT,
    "code": "c",
    "reason": "",
    "detail": "",
    "kind": FailureKind.TRANSIENT,
    "attempts": 1,
    "next_attempt_at": LATER,
}
_FAILED_LONG = {
    "at": AT,
    "code": "proxy-unavailable",
    "reason": "the proxy answered 503 — “ausgelastet”",
    "detail": "E10001: Proxy worker not responding\nline 2",
    "kind": FailureKind.UNKNOWN,
    "attempts": 12,
    "next_attempt_at": LATER,
}

#: (minimal, maximal) of every event type.
EXAMPLES: Final[list[tuple[AnyEvent, AnyEvent]]] = [
    (
        e.DeploymentCreated(
            at=AT,
            deployment_id=ONE,
            deployment_name="n",
            resource_group="g",
            domain="d",
            project=TWO,
            owner=THREE,
            open_to_public=False,
            replica_count=0,
            digest="",
        ),
        e.DeploymentCreated(
            at=AT,
            deployment_id=ONE,
            deployment_name="라마 llama",
            resource_group="gpu",
            domain="default",
            project=TWO,
            owner=THREE,
            open_to_public=True,
            replica_count=100_000,
            digest="e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        ),
    ),
    (e.TargetRevisionSet(at=AT, revision=_BARE_REVISION), e.TargetRevisionSet(at=AT, revision=_FULL_REVISION)),
    (
        e.ReplicaCountSet(at=AT, previous=0, replica_count=0),
        e.ReplicaCountSet(at=AT, previous=2, replica_count=100_000),
    ),
    (
        e.ScalingPolicySet(at=AT, policy=ScalingPolicy()),
        e.ScalingPolicySet(
            at=AT, policy=ScalingPolicy(rules=(_BARE_RULE, _FULL_RULE), min_replicas=1, max_replicas=10)
        ),
    ),
    (e.ScalingPauseSet(at=AT, pause=Pause.NONE), e.ScalingPauseSet(at=AT, pause=Pause.SCALE_OUT)),
    (
        e.ReplicasOverridden(at=AT, replica_count=0, until=None),
        e.ReplicasOverridden(at=AT, replica_count=7, until=LATER),
    ),
    (
        e.ReplicaOverrideExpired(at=AT, desired_replica_count=None),
        e.ReplicaOverrideExpired(at=AT, desired_replica_count=7),
    ),
    (
        e.EndpointRegistrationStarted(at=AT, deadline=LATER, settles_at=LATER),
        e.EndpointRegistrationStarted(at=AT, deadline=AT, settles_at=LATER),
    ),
    (e.EndpointRegistered(at=AT, url=""), e.EndpointRegistered(at=AT, url="https://llama.example:10240/")),
    (
        e.EndpointRegistrationFailed.model_validate(_FAILED_SHORT),
        e.EndpointRegistrationFailed.model_validate(_FAILED_LONG),
    ),
    (
        e.DesiredReplicasCalculated(
            at=AT, decision=ScalingDecision(previous=2, desired=1, reason=DecisionReason.BOUNDS)
        ),
        e.DesiredReplicasCalculated(
            at=AT,
            decision=ScalingDecision(previous=2, desired=1, reason=DecisionReason.RULE, evaluation=_EVALUATION),
        ),
    ),
    (
        e.DesiredReplicasCalculationFailed.model_validate(_FAILED_SHORT),
        e.DesiredReplicasCalculationFailed.model_validate(_FAILED_LONG),
    ),
    (
        e.ScaledOut(at=AT, route_ids=(ONE,), revision_id=TWO, traffic_ratio=1.0),
        e.ScaledOut(at=AT, route_ids=(ONE, TWO, THREE), revision_id=TWO, traffic_ratio=0.25),
    ),
    (e.ScalingFailed.model_validate(_FAILED_SHORT), e.ScalingFailed.model_validate(_FAILED_LONG)),
    (
        e.RoutesTerminating(at=AT, route_ids=(ONE,), reason=TerminationReason.SCALE_IN),
        e.RoutesTerminating(at=AT, route_ids=(ONE, TWO), reason=TerminationReason.EVICTED),
    ),
    (
        e.RouteStatusReported(
            at=AT,
            changes=(e.RouteStatusChange(route_id=ONE, previous=RouteStatus.PROVISIONING, status=RouteStatus.HEALTHY),),
            start_failures=0,
            scale_out_not_before=None,
        ),
        e.RouteStatusReported(
            at=AT,
            changes=(
                e.RouteStatusChange(
                    route_id=ONE,
                    previous=RouteStatus.PROVISIONING,
                    status=RouteStatus.FAILED_TO_START,
                    detail="exit code 137",
                ),
                e.RouteStatusChange(route_id=TWO, previous=RouteStatus.UNHEALTHY, status=RouteStatus.DEGRADED),
            ),
            start_failures=3,
            scale_out_not_before=LATER,
        ),
    ),
    (
        e.ReplicaCountMismatched(at=AT, expected=0, actual=1),
        e.ReplicaCountMismatched(at=AT, expected=3, actual=2),
    ),
    (e.DeploymentReady(at=AT, replicas=0), e.DeploymentReady(at=AT, replicas=3)),
    (e.DestructionRequested(at=AT, force=False), e.DestructionRequested(at=AT, force=True)),
    (e.EndpointUnregistered(at=AT, sent_at=AT), e.EndpointUnregistered(at=LATER, sent_at=AT)),
    (
        e.EndpointUnregistrationFailed.model_validate(_FAILED_SHORT),
        e.EndpointUnregistrationFailed.model_validate(_FAILED_LONG),
    ),
    (e.EndpointDoubted(at=AT, settles_at=LATER), e.EndpointDoubted(at=AT, settles_at=LATER)),
    (e.EndpointAbandoned(at=AT, reason=""), e.EndpointAbandoned(at=AT, reason="proxy-target-missing: none for gpu")),
    (e.DeploymentDestroyed(at=AT, abandoned_routes=0), e.DeploymentDestroyed(at=AT, abandoned_routes=2)),
    (
        e.CommandHadNoEffect(at=AT, command="c", reason=""),
        e.CommandHadNoEffect(at=AT, command="destroy", reason="the deployment is being destroyed already"),
    ),
    (
        EffectsPaused(at=AT, scope=Everything(), reason="", actor=""),
        EffectsPaused(at=AT, scope=SingleDeployment(deployment_id=ONE), reason="a new proxy", actor="alice"),
    ),
    (
        EffectsResumed(at=AT, scope=Everything(), reason="", actor=""),
        EffectsResumed(at=AT, scope=ResourceGroup(resource_group="gpu"), reason="all well", actor="bob"),
    ),
    (
        IncarnationBegun(at=AT, incarnation=2, after_position=0, settles_at=LATER, reread=()),
        IncarnationBegun(
            at=AT,
            incarnation=3,
            after_position=9_007_199_254_740_993,
            settles_at=LATER,
            reread=(RereadPartition(topic="routekeeper.commands", epoch="0198c0de", partition=11, until=7),),
            actor="alice",
        ),
    ),
    (
        RecordsRejected(
            at=AT,
            topic="t",
            epoch="e",
            partition=0,
            records=(RejectedRecord(offset=0, digest="", length=0, code="c", field="", value="", reason=""),),
        ),
        RecordsRejected(
            at=AT,
            topic="routekeeper.commands",
            epoch="0198c0de",
            partition=11,
            records=(
                RejectedRecord(
                    offset=9_007_199_254_740_993,
                    digest="e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                    length=1_048_577,
                    code="invalid",
                    field="data.policy.rules.0.step",
                    value="0",
                    reason="step of rule 'r' is 0",
                    key="0198c0de-0000-4000-8000-000000000001",
                    source="/ops",
                    id="7",
                ),
                RejectedRecord(offset=2, digest="", length=0, code="c", field="", value="", reason=""),
            ),
        ),
    ),
]
