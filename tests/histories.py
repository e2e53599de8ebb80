"""Random histories that can really have happened: random commands, decided by the domain, as the log would hold them.

A history is played from steps, so that hypothesis can shorten it, and so that one seed gives the same one again.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import NamedTuple
from uuid import UUID

from hypothesis import strategies as st

from domain import commands as c
from domain.autoscaling.decision import DecisionReason, RuleEvaluation, ScalingDecision
from domain.autoscaling.rules import Comparator, MetricSource, ScalingPolicy, StepRule
from domain.decide import decide
from domain.deployment import Deployment
from domain.errors import CommandRejected
from domain.evolve import evolve
from domain.failures import FailureKind
from domain.limits import DecisionLimits
from domain.operations import Operation
from domain.recorded import AnyEvent, Cause, LoggedEvent, OperationCause, RecordCause, RecordedEvent
from domain.rejections import RecordsRejected, RejectedRecord, rejection_stream
from domain.revision import Revision
from domain.routes import RouteStatus, termination_order
from domain.work import next_work

BEGINNING = datetime(2031, 2, 3, 4, 5, 6, 789000, tzinfo=UTC)

_SOMEBODY = UUID(int=7)
_TOPIC, _EPOCH = "routekeeper.commands", "2031"
_RULE = StepRule(
    name="busy", source=MetricSource.KERNEL, metric="load", comparator=Comparator.GREATER_THAN, threshold=0.8, step=1
)


class Step(NamedTuple):
    """Something that is asked: of which deployment, what, in which variant, and how many seconds after the last."""

    deployment: int
    kind: str
    variant: int
    seconds: int


class History:
    """What has happened so far: the log, the deployments that it adds up to, and how often something was rejected."""

    def __init__(self) -> None:
        self.log: list[LoggedEvent] = []
        self.states: dict[UUID, Deployment] = {}
        self.versions: dict[UUID, int] = {}
        self.rejections = 0
        self.now = BEGINNING
        self._ids = 1_000

    def apply(self, step: Step) -> Sequence[LoggedEvent]:
        """Let something happen; gives what it led to, possibly nothing."""
        self.now += timedelta(seconds=step.seconds)
        if step.kind == "send_garbage":
            return self._refuse(step)
        deployment_id = UUID(int=step.deployment + 1)
        state = self.states.get(deployment_id)
        command = _create(deployment_id, step) if state is None else COMMANDS[step.kind](state, step, self.now)
        try:
            events = decide(state, command, now=self.now, ids=self._new_id)
        except CommandRejected:
            self.rejections += 1
            return ()
        for event in events:
            self.states[deployment_id] = state = evolve(state, event)
        return [self._append(deployment_id, event, OperationCause(operation=step.kind)) for event in events]

    def _refuse(self, step: Step) -> Sequence[LoggedEvent]:
        records = tuple(
            RejectedRecord(
                offset=self.versions.get(_SOMEBODY, 0) * 10 + number,
                digest=f"{number:064x}",
                length=number,
                code="invalid-json",
                field="data.name",
                value="\0 is nothing that a database likes",
                reason="this is not JSON",
            )
            for number in range(1 + step.variant % 3)
        )
        partition = step.deployment
        event = RecordsRejected(at=self.now, topic=_TOPIC, epoch=_EPOCH, partition=partition, records=records)
        cause = RecordCause(topic=_TOPIC, epoch=_EPOCH, partition=partition, offset=records[0].offset)
        return [self._append(rejection_stream(_TOPIC, _EPOCH, partition), event, cause)]

    def _append(self, stream_id: UUID, event: AnyEvent, cause: Cause) -> LoggedEvent:
        version = self.versions[stream_id] = self.versions.get(stream_id, 0) + 1
        # Positions have gaps, as in a database where transactions were rolled back.
        position = (self.log[-1].position if self.log else 0) + 1 + version % 2
        logged = LoggedEvent(position, RecordedEvent(stream_id=stream_id, version=version, cause=cause, event=event))
        self.log.append(logged)
        return logged

    def _new_id(self) -> UUID:
        self._ids += 1
        return UUID(int=self._ids)


def play(steps: Iterable[Step]) -> History:
    """Let one thing happen after the other."""
    history = History()
    for step in steps:
        history.apply(step)
    return history


def random_history(seed: int, *, steps: int, deployments: int = 6) -> History:
    """A long history for when hypothesis would be too slow; the same seed gives the same one."""
    random = Random(seed)
    return play(
        Step(random.randrange(deployments), random.choice(_WEIGHTED), random.randrange(100), random.randrange(90))
        for _ in range(steps)
    )


def _create(deployment_id: UUID, step: Step) -> c.CreateDeployment:
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


def _report_all_as(status: RouteStatus) -> "Command":
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
        case Operation.DESTROY if state.active_count:
            routes = frozenset(route.id for route in state.active_routes)
            return c.TerminateRoutes(deployment_id=state.id, route_ids=routes)
        case Operation.DESTROY:
            return c.RecordEndpointUnregistered(deployment_id=state.id, sent_at=now)
        case _:
            return c.SetReplicaCount(deployment_id=state.id, replica_count=step.variant % 6)


def _fail(state: Deployment, step: Step, now: datetime) -> c.RecordOperationFailure:
    operations = list(Operation)
    return c.RecordOperationFailure(
        deployment_id=state.id,
        operation=operations[step.variant % len(operations)],
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
        comparator=_RULE.comparator,
        threshold=_RULE.threshold,
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


Command = Callable[[Deployment, Step, datetime], c.AnyCommand]

#: What may be asked of a deployment that is there.
COMMANDS: Mapping[str, Command] = {
    "create": lambda state, step, _: _create(state.id, step),
    "set_target_revision": lambda state, _step, _: c.SetTargetRevision(deployment_id=state.id, revision=_revision()),
    "set_replica_count": lambda state, step, _: c.SetReplicaCount(
        deployment_id=state.id, replica_count=step.variant % 6
    ),
    "set_scaling_policy": _set_policy,
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

#: Everything that may happen.
KINDS = frozenset(COMMANDS) | {"send_garbage"}

# What is due is done most of the time, or few deployments would ever come to have replicas.
_WEIGHTED = [*sorted(KINDS), *("work", "work", "work", "report", "report_healthy") * 6]

#: Steps for hypothesis.
STEPS = st.builds(
    Step,
    deployment=st.integers(0, 2),
    kind=st.sampled_from(_WEIGHTED),
    variant=st.integers(0, 99),
    seconds=st.integers(0, 90),
)

#: Histories for hypothesis, from none to some sixty steps.
HISTORIES = st.lists(STEPS, max_size=60).map(play)
