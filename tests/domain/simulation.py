"""A deployment with a clock, a proxy, a runtime and an executor around it, all of them as simple as can be."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import assert_never
from uuid import UUID

from domain import commands as c
from domain import events as e
from domain.decide import NewId, decide
from domain.deployment import Deployment, Lifecycle
from domain.errors import CommandRejected, RejectionCode
from domain.evolve import replay
from domain.failures import FailureKind
from domain.limits import DecisionLimits
from domain.operations import Operation
from domain.routes import RouteStatus, termination_order
from domain.work import Work, next_work
from tests.domain.histories import DEPLOYMENT, URL
from tests.domain.invariants import check_history, check_state, check_step, rests
from tests.domain.scenario import NOW

#: How long a create call takes at most, and how long after its start it may still take effect (seconds).
CALL_SECONDS, SETTLE_SECONDS = 20.0, 50.0

_OBEDIENCE = {
    RouteStatus.PROVISIONING: RouteStatus.HEALTHY,
    RouteStatus.UNHEALTHY: RouteStatus.HEALTHY,
    RouteStatus.DEGRADED: RouteStatus.HEALTHY,
    RouteStatus.TERMINATING: RouteStatus.TERMINATED,
}


@dataclass(frozen=True)
class Refusal:
    """A rejection, as a value that can be compared."""

    code: RejectionCode
    message: str


@dataclass
class Proxy:
    """Holds the endpoint or does not; create calls may take effect long after they were sent."""

    exists: bool = False
    landings: list[datetime] = field(default_factory=list)

    def pass_time(self, now: datetime) -> None:
        """Let every create call take effect whose moment has come."""
        if any(moment <= now for moment in self.landings):
            self.exists = True
        self.landings = [moment for moment in self.landings if moment > now]


class Simulation:
    """Asks a deployment and keeps what happens; the invariants are checked at every step."""

    def __init__(self) -> None:
        self.now = NOW
        self.limits = DecisionLimits()
        self.state: Deployment | None = None
        self.history: list[e.DeploymentEvent] = []
        self.proxy = Proxy()
        self._ids_given = 0

    @property
    def deployment(self) -> Deployment:
        """The state; there must be one."""
        assert self.state is not None
        return self.state

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)
        self.proxy.pass_time(self.now)

    def ask(self, command: c.AnyCommand) -> Sequence[e.DeploymentEvent]:
        """Let a command arrive; a rejected one raises and changes nothing."""
        before = self.state
        outcome = self._outcome(command)
        assert outcome == self._outcome(command), "the same command led to something else"
        if isinstance(outcome, Refusal):
            self._check()
            raise CommandRejected(outcome.code, outcome.message)
        events = outcome
        self._ids_given += sum(len(event.route_ids) for event in events if isinstance(event, e.ScaledOut))
        self.history += events
        self.state = replay(events, before)
        check_step(before, events)
        self._check()
        return events

    def offer(self, command: c.AnyCommand) -> Sequence[e.DeploymentEvent]:
        """Let a command arrive that may well be rejected."""
        try:
            return self.ask(command)
        except CommandRejected:
            return ()

    def work(self) -> Work | None:
        """What the deployment is due for."""
        return next_work(self.deployment, self.limits)

    def wait_until(self, moment: datetime) -> None:
        """Let time pass, if the moment is still to come."""
        self.wait(max(0.0, (moment - self.now).total_seconds()))

    def do(self, operation: Operation) -> Sequence[e.DeploymentEvent]:
        """Do what is due, as an executor does it to whom everything succeeds."""
        state = self.deployment
        match operation:
            case Operation.CHECK_PENDING:
                return self._register()
            case Operation.CHECK_READY:
                return self._check_ready(state)
            case Operation.SCALE:
                return self._scale(state)
            case Operation.EVICT:
                since = self.now - timedelta(seconds=self.limits.evict_unhealthy_after)
                return self.ask(c.EvictRoutes(deployment_id=state.id, unhealthy_since=since))
            case Operation.EXPIRE_OVERRIDE:
                return self.ask(c.ExpireReplicaOverride(deployment_id=state.id))
            case Operation.DESTROY:
                return self._destroy(state)
            case Operation.CALCULATE:
                msg = "calculation is due when samples arrive, not by itself"
                raise AssertionError(msg)
            case _:
                assert_never(operation)

    def fail(self, operation: Operation, kind: FailureKind, next_attempt_at: datetime) -> Sequence[e.DeploymentEvent]:
        """Fail at what is due."""
        command = c.RecordOperationFailure(
            deployment_id=DEPLOYMENT,
            operation=operation,
            code="failed",
            reason="",
            kind=kind,
            next_attempt_at=next_attempt_at,
        )
        return self.ask(command)

    def report(self, statuses: dict[UUID, RouteStatus]) -> Sequence[e.DeploymentEvent]:
        """Let the runtime say what became of its routes."""
        if not statuses:
            return ()
        reports = tuple(c.RouteReport(route_id=route_id, status=status) for route_id, status in statuses.items())
        return self.ask(c.ReportRoutes(deployment_id=DEPLOYMENT, reports=reports))

    def obey(self) -> None:
        """Let the runtime do what it should: start, heal and end routes."""
        routes = self.deployment.routes.values()
        self.report({route.id: _OBEDIENCE[route.status] for route in routes if route.status in _OBEDIENCE})

    def settle(self, max_steps: int) -> None:
        """Do whatever is due until the deployment is ready, destroyed, or waits for somebody.

        Every step that is due must lead to something: else a worker would repeat it without end.
        """
        for _ in range(max_steps):
            self.obey()
            if self.deployment.lifecycle is not Lifecycle.DESTROYING and rests(self.deployment):
                check_history(self.history, self.deployment)
                return
            work = self.work()
            assert work is not None, f"stuck: {self.deployment}"
            self.wait_until(work.due_at)
            assert self.do(work.operation), f"{work.operation} was due and led to nothing: {self.deployment}"
        msg = f"not settled after {max_steps} steps: {self.deployment}"
        raise AssertionError(msg)

    def _outcome(self, command: c.AnyCommand) -> list[e.DeploymentEvent] | Refusal:
        try:
            return list(decide(self.state, command, now=self.now, ids=self._ids(), limits=self.limits))
        except CommandRejected as rejection:
            return Refusal(rejection.code, rejection.message)

    def _ids(self) -> NewId:
        numbers = count(self._ids_given + 1)
        return lambda: UUID(int=next(numbers))

    def _check(self) -> None:
        if self.state is None:
            return
        check_state(self.state, self.limits)
        abandoned = any(isinstance(event, e.EndpointAbandoned) for event in self.history)
        if self.state.lifecycle is Lifecycle.DESTROYED and not abandoned:
            assert not self.proxy.exists, "an endpoint has leaked"
            assert not self.proxy.landings, "an endpoint will leak"

    def _register(self) -> Sequence[e.DeploymentEvent]:
        deadline = self.now + timedelta(seconds=CALL_SECONDS)
        settles_at = self.now + timedelta(seconds=SETTLE_SECONDS)
        started = self.ask(
            c.StartEndpointRegistration(deployment_id=DEPLOYMENT, deadline=deadline, settles_at=settles_at)
        )
        self.wait(0.1)
        self.proxy.exists = True
        return [*started, *self.ask(c.RecordEndpointRegistered(deployment_id=DEPLOYMENT, url=URL))]

    def _check_ready(self, state: Deployment) -> Sequence[e.DeploymentEvent]:
        expected, actual = state.target_replica_count, state.active_count
        if expected == actual:
            return self.ask(c.RecordReady(deployment_id=state.id))
        return self.ask(c.RecordReplicaCountMismatch(deployment_id=state.id, expected=expected, actual=actual))

    def _scale(self, state: Deployment) -> Sequence[e.DeploymentEvent]:
        missing = state.target_replica_count - state.active_count
        if missing > 0:
            assert state.target_revision is not None
            revision_id = state.target_revision.revision_id
            return self.ask(c.ScaleOut(deployment_id=state.id, count=missing, revision_id=revision_id))
        victims = termination_order(state.active_routes)[: max(-missing, 0)]
        return self.ask(c.TerminateRoutes(deployment_id=state.id, route_ids=frozenset(r.id for r in victims)))

    def _destroy(self, state: Deployment) -> Sequence[e.DeploymentEvent]:
        routes = frozenset(route.id for route in state.active_routes)
        told = self.ask(c.TerminateRoutes(deployment_id=state.id, route_ids=routes))
        if not self.deployment.endpoint.may_exist:
            return told
        self.proxy.exists = False
        return [*told, *self.ask(c.RecordEndpointUnregistered(deployment_id=state.id, sent_at=self.now))]
