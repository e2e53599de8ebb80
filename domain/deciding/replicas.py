"""How many replicas there should be, and making or taking away routes to get there."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from domain import commands as c
from domain import events as e
from domain.autoscaling.decision import DecisionReason, ReasonKey, ScalingDecision
from domain.autoscaling.rules import Pause, ScalingPolicy
from domain.chunks import chunks
from domain.deployment import Deployment, Lifecycle
from domain.errors import CommandRejected, RejectionCode
from domain.limits import DecisionLimits
from domain.operations import Operation
from domain.routes import RouteStatus, TerminationReason


def set_count(state: Deployment, command: c.SetReplicaCount, now: datetime) -> Sequence[e.DeploymentEvent]:
    """Set the number by hand: what the rules desired and an override held is void, the policy's bounds are not."""
    spec = state.replica_spec
    wanted = command.replica_count
    bounded = clamped(wanted, state.scaling_policy, now)
    same_target = spec.target_replica_count == state.scaling_policy.clamp(wanted)
    if (
        spec.replica_count == wanted
        and same_target
        and state.override is None
        and bool(bounded) == (spec.desired_replica_count is not None)
    ):
        reason = f"the number of replicas is {wanted} already"
        return [e.CommandHadNoEffect(at=now, command="set-replica-count", reason=reason)]
    return [e.ReplicaCountSet(at=now, previous=spec.target_replica_count, replica_count=wanted), *bounded]


def set_policy(state: Deployment, command: c.SetScalingPolicy, now: datetime) -> Sequence[e.DeploymentEvent]:
    """Replace the policy; a target outside its bounds is brought inside at once, unless paused."""
    check_policy(command.policy, field="policy")
    if state.scaling_policy == command.policy:
        reason = "the scaling policy is this one already"
        return [e.CommandHadNoEffect(at=now, command="set-scaling-policy", reason=reason)]
    return [e.ScalingPolicySet(at=now, policy=command.policy), *target_under(command.policy, state, now)]


def target_under(policy: ScalingPolicy, state: Deployment, now: datetime) -> list[e.DeploymentEvent]:
    """With rules they go on from the target as it is, without them the number set by hand counts."""
    if state.override is not None:
        return []
    target = state.target_replica_count
    wanted = target if policy.rules else state.replica_spec.replica_count
    desired = policy.clamp(wanted)
    # Where no rules are evaluated, nobody would make up for it once the pause is over.
    pause = policy.pause.joined(state.scaling_pause) if policy.rules else Pause.NONE
    if desired == target or pause.forbids(desired - target):
        return []
    reason = DecisionReason.MANUAL if desired == wanted else DecisionReason.BOUNDS
    decision = ScalingDecision(previous=target, desired=desired, reason=reason)
    return [e.DesiredReplicasCalculated(at=now, decision=decision)]


def check_policy(policy: ScalingPolicy | None, *, field: str) -> None:
    """Refuse a policy whose smallest number of replicas is above its largest, or with a time zone unknown here."""
    if policy is None:
        return
    if policy.min_replicas > policy.max_replicas:
        message = f"min_replicas {policy.min_replicas} is above max_replicas {policy.max_replicas}"
        raise CommandRejected(
            RejectionCode.INVALID_BOUNDS, message, field=f"{field}.min_replicas", value=policy.min_replicas
        )
    for zone in policy.unknown_time_zones:
        message = f"time zone {zone!r} is not known here"
        raise CommandRejected(RejectionCode.UNKNOWN_TIME_ZONE, message, field=f"{field}.rules", value=zone)


def clamped(count: int, policy: ScalingPolicy, now: datetime) -> list[e.DeploymentEvent]:
    """Bring ``count`` (replicas) inside the policy's bounds, if it is outside."""
    bounded = policy.clamp(count)
    if bounded == count:
        return []
    decision = ScalingDecision(previous=count, desired=bounded, reason=DecisionReason.BOUNDS)
    return [e.DesiredReplicasCalculated(at=now, decision=decision)]


def override(state: Deployment, command: c.OverrideReplicas, now: datetime) -> Sequence[e.DeploymentEvent]:
    """Hold the number of replicas, also outside the policy's bounds: a person said so."""
    if command.until is not None and command.until <= now:
        message = f"until {command.until.isoformat()} is not in the future"
        raise CommandRejected(RejectionCode.INVALID_UNTIL, message, field="until", value=command.until.isoformat())
    held = state.override
    if held is not None and (held.replica_count, held.until) == (command.replica_count, command.until):
        reason = f"the number of replicas is held at {command.replica_count} already"
        return [e.CommandHadNoEffect(at=now, command="override-replicas", reason=reason)]
    return [e.ReplicasOverridden(at=now, replica_count=command.replica_count, until=command.until)]


def expire_override(state: Deployment, now: datetime) -> Sequence[e.DeploymentEvent]:
    """End an override whose time is over: with rules they go on from its number, without the one set by hand counts."""
    if state.override is None or state.override.until is None or state.override.until > now:
        return []
    policy = state.scaling_policy
    count = state.override.replica_count if policy.rules else state.replica_spec.replica_count
    bounded = policy.clamp(count)
    desired = bounded if policy.rules or bounded != count else None
    return [e.ReplicaOverrideExpired(at=now, desired_replica_count=desired)]


def is_news(state: Deployment, key: ReasonKey | None, now: datetime, limits: DecisionLimits) -> bool:
    """Whether a decision that changes nothing is recorded for its reason; not too soon after another one."""
    known = state.scaling_reason
    if key is None or known is None:
        return key is not None
    return key != known.key and now >= known.recorded_at + timedelta(seconds=limits.reasons_apart)


def record_desired(
    state: Deployment, command: c.RecordDesiredReplicas, now: datetime, limits: DecisionLimits
) -> Sequence[e.DeploymentEvent]:
    """Take over what autoscaling came to, unless the ground it stood on has changed."""
    decision, policy = command.decision, state.scaling_policy
    if state.override is not None or decision.previous != state.target_replica_count:
        _changed_meanwhile(f"the target is {state.target_replica_count} now, not {decision.previous}")
    if decision.evaluation is not None and all(rule.name != decision.evaluation.rule for rule in policy.rules):
        _changed_meanwhile(f"the policy has no rule {decision.evaluation.rule!r} now")
    winner = decision.reasoning.winner if decision.reasoning else None
    if winner is not None and all(rule.name != winner for rule in policy.rules):
        _changed_meanwhile(f"the policy has no rule {winner!r} now")
    if state.effective_pause.forbids(decision.desired - decision.previous):
        _changed_meanwhile(f"scaling is paused now: {state.effective_pause.value}")
    desired = policy.clamp(decision.desired)
    # Where calculating has failed before, it is news that it works again.
    unchanged = desired == state.target_replica_count and Operation.CALCULATE not in state.failures
    if unchanged and not is_news(state, decision.reason_key, now, limits):
        return []
    return [e.DesiredReplicasCalculated(at=now, decision=decision.model_copy(update={"desired": desired}))]


def scale_out(
    state: Deployment, command: c.ScaleOut, now: datetime, ids: Callable[[], UUID]
) -> Sequence[e.DeploymentEvent]:
    """Make new routes, never more than are missing, and none before the wait after failed starts is over."""
    not_before = state.scale_out_not_before
    if not_before is not None and now < not_before:
        _changed_meanwhile(f"no routes are made before {not_before.isoformat()}, because starts failed")
    missing = state.target_replica_count - state.active_count
    if state.lifecycle is Lifecycle.PENDING or command.count > missing:
        _changed_meanwhile(f"{max(missing, 0)} routes are missing now, not {command.count}")
    new = [ids() for _ in range(command.count)]
    return [
        e.ScaledOut(at=now, route_ids=some, revision_id=command.revision_id, traffic_ratio=command.traffic_ratio)
        for some in chunks(new, c.MAX_ROUTES_PER_MESSAGE)
    ]


def terminate(state: Deployment, command: c.TerminateRoutes, now: datetime) -> Sequence[e.DeploymentEvent]:
    """Take away those of the routes that are still active; never more than are too many, except in destruction."""
    victims = [r.id for r in state.active_routes if r.id in command.route_ids]
    reason = TerminationReason.SCALE_IN
    if state.lifecycle.is_ending:
        reason = TerminationReason.DESTROYED
    elif len(victims) > state.active_count - state.target_replica_count:
        _changed_meanwhile(f"{state.active_count} routes are active and {state.target_replica_count} are wanted now")
    return _terminating(victims, reason, now)


def evict(state: Deployment, command: c.EvictRoutes, now: datetime) -> Sequence[e.DeploymentEvent]:
    """Take away routes that have been unhealthy for too long; new ones are made in their place."""
    victims = [
        r.id
        for r in state.routes.values()
        if r.status is RouteStatus.UNHEALTHY and r.status_since <= command.unhealthy_since
    ]
    return _terminating(victims, TerminationReason.EVICTED, now)


def _terminating(victims: list[UUID], reason: TerminationReason, now: datetime) -> Sequence[e.DeploymentEvent]:
    return [
        e.RoutesTerminating(at=now, route_ids=some, reason=reason)
        for some in chunks(sorted(victims), c.MAX_ROUTES_PER_MESSAGE)
    ]


def _changed_meanwhile(message: str) -> None:
    raise CommandRejected(RejectionCode.CHANGED_MEANWHILE, message)
