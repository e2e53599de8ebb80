"""Rules that were not there, tried on what was recorded: the live engine under a virtual clock.

When rules are evaluated follows from what happens, as it does live: soon after samples and changes, and when the
last evaluation said. Replicas come and go by a model.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from heapq import heappop, heappush
from uuid import UUID

from domain import commands as c
from domain import events as e
from domain.autoscaling.history import ScalingHistory
from domain.autoscaling.rules import ScalingPolicy
from domain.decide import decide
from domain.deployment import Deployment, Lifecycle
from domain.errors import CommandRejected, RoutekeeperError
from domain.evolve import evolve
from domain.limits import DecisionLimits
from domain.routes import RouteStatus
from domain.scaling import evaluate_rules, unchanged
from domain.simulation.course import Course, TakenDecision
from domain.simulation.model import SimulationModel
from domain.simulation.recorded import PastEvent, RecordedPast, first_from
from domain.simulation.reenactment import intent
from domain.simulation.reporters import Reporters
from domain.simulation.sample_feed import SampleFeed
from domain.simulation.simulated_routes import new_route, with_routes, with_status, without_routes
from domain.work import scales


class TooManyEvaluations(RoutekeeperError):
    """A simulation would take more evaluations than it may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialLimits:
    """What the live path is bounded by, and the simulation itself.

    ``window_samples``: most samples that are kept of one series (count); ``debounce_seconds``: how long after news the
    rules are evaluated; ``evaluations``: most of them (count).
    """

    decisions: DecisionLimits = field(default_factory=DecisionLimits)
    window_samples: int = 128
    debounce_seconds: float = 0.05
    evaluations: int = 1_000_000


class Trial:
    """Goes on from a state at ``since``; ``history`` is what the rules remember by then.

    Attributes:
        course: What comes of it; it goes on where the one that is given ends.
    """

    def __init__(
        self,
        state: Deployment,
        history: ScalingHistory,
        past: RecordedPast,
        since: datetime,
        *,
        course: Course,
        model: SimulationModel,
        limits: TrialLimits = TrialLimits(),
    ) -> None:
        self.course = course
        self._state = replace(state, start_failures=0, scale_out_not_before=None)
        self._history = history
        self._model = model
        self._limits = limits
        self._debounce = timedelta(seconds=limits.debounce_seconds)
        self._arrivals = past.arrivals
        self._next_arrival = first_from(past.arrivals, since)
        self._events: Sequence[PastEvent] = [each for each in past.events if each.event.at >= since]
        self._next_event = 0
        self._feed = SampleFeed(past.arrivals[: self._next_arrival], window_samples=limits.window_samples)
        self._reporters = Reporters(model)
        self._starting: list[tuple[datetime, int, tuple[UUID, ...]]] = []
        self._due: datetime | None = None
        self._made = 0
        self._now = since

    def run(self, policy: ScalingPolicy, until: datetime) -> None:
        """Set the rules, and go on to a moment, without what happens at it. Raises ``CommandRejected``."""
        self._settle_routes()
        self._feed.received_until(self._now, replace(self._state, scaling_policy=policy))
        self._apply(c.SetScalingPolicy(deployment_id=self._state.id, policy=policy))
        self._changed()
        while (moment := self._next_moment()) is not None and moment < until:
            self._now = max(self._now, moment)
            self._step()

    def _next_moment(self) -> datetime | None:
        """When the next thing happens."""
        moments = []
        if self._next_event < len(self._events):
            moments.append(self._events[self._next_event].event.at)
        if self._next_arrival < len(self._arrivals):
            moments.append(self._arrivals[self._next_arrival].at)
        if self._starting:
            moments.append(self._starting[0][0])
        if (ends := self._override_ends()) is not None:
            moments.append(ends)
        if self._due is not None:
            moments.append(self._due)
        return min(moments, default=None)

    def _step(self) -> None:
        """Let one thing happen that is due; an evaluation comes last, so that it sees all the rest."""
        now, ends = self._now, self._override_ends()
        if self._next_event < len(self._events) and self._events[self._next_event].event.at <= now:
            self._next_event += 1
            self._happened(self._events[self._next_event - 1].event)
        elif ends is not None and ends <= now:
            self._ask(c.ExpireReplicaOverride(deployment_id=self._state.id))
        elif self._starting and self._starting[0][0] <= now:
            self._started()
        elif self._next_arrival < len(self._arrivals) and self._arrivals[self._next_arrival].at <= now:
            arrival = self._arrivals[self._next_arrival]
            self._next_arrival += 1
            measured = self._reporters.measured(arrival.samples, arrival.at, self._state)
            if self._feed.add(measured, arrival.at):
                self._bring_forward(now + self._debounce)
        else:
            self._due = None
            self._evaluate()

    def _override_ends(self) -> datetime | None:
        return None if self._state.override is None else self._state.override.until

    def _happened(self, event: e.DeploymentEvent) -> None:
        """What people asked for happens as it did; what rules and replicas did is for the simulation to find out."""
        match event:
            case e.ScalingPolicySet():
                return
            case e.TargetRevisionSet() | e.EndpointRegistered() | e.DestructionRequested():
                self._state = evolve(self._state, event)
                self._changed()
            case e.RoutesTerminating():
                for route_id in event.route_ids:
                    self._reporters.gone(route_id)
            case e.RouteStatusReported():
                for change in event.changes:
                    if change.status.is_terminal:
                        self._reporters.gone(change.route_id)
            case _:
                if (command := intent(self._state, event)) is not None:
                    self._ask(command)

    def _ask(self, command: c.AnyCommand) -> None:
        """Have a command decided, as live; what is refused has no effect here either."""
        with suppress(CommandRejected):
            self._apply(command)

    def _apply(self, command: c.AnyCommand) -> None:
        events = decide(self._state, command, now=self._now, ids=self._new_id, limits=self._limits.decisions)
        for event in events:
            self._state = evolve(self._state, event)
            if isinstance(event, e.DesiredReplicasCalculated):
                self.course.decisions.append(TakenDecision(event.at, event.decision))
        if events:
            self._changed()

    def _changed(self) -> None:
        """Make or take away the routes that the target asks for, and evaluate soon."""
        if self._state.lifecycle.is_ending:
            self._state = without_routes(self._state, self._state.active_count, self._now)
        elif self._state.lifecycle is not Lifecycle.PENDING:
            self._scale()
        self.course.count(self._state, self._now)
        if scales(self._state):
            self._bring_forward(self._now + self._debounce)
        else:
            self.course.rested(self._now)

    def _scale(self) -> None:
        missing = self._state.target_replica_count - self._state.active_count
        if missing < 0:
            self._state = without_routes(self._state, -missing, self._now)
        elif missing > 0 and self._state.target_revision is not None:
            ids = [self._new_id() for _ in range(missing)]
            self._state = with_routes(self._state, ids, self._now)
            self._await_start(ids, self._now)

    def _await_start(self, ids: Sequence[UUID], since: datetime) -> None:
        ready_at = since + timedelta(seconds=self._model.start_up_seconds)
        heappush(self._starting, (ready_at, self._made, tuple(ids)))

    def _started(self) -> None:
        _, _, ids = heappop(self._starting)
        before = self._state
        self._state = with_status(before, ids, RouteStatus.HEALTHY, self._now)
        if self._state is not before:
            self._changed()

    def _settle_routes(self) -> None:
        """From here on the model counts: who was ready serves, and who was not yet starts in the model's time."""
        for route in list(self._state.routes.values()):
            if route.status is RouteStatus.PROVISIONING:
                self._await_start((route.id,), route.created_at)
            elif route.status.is_active:
                self._state = with_status(self._state, (route.id,), RouteStatus.HEALTHY, self._now)
            else:
                self._state = with_status(self._state, (route.id,), RouteStatus.TERMINATED, self._now)

    def _new_id(self) -> UUID:
        self._made += 1
        return new_route(self._state.id, self._made - 1)

    def _evaluate(self) -> None:
        state, now = self._state, self._now
        if not scales(state):
            return
        if self.course.evaluations >= self._limits.evaluations:
            raise TooManyEvaluations(f"more than {self._limits.evaluations} evaluations: choose a shorter time")
        if self._feed.windows.has_others(len(state.routes)):
            self._feed.windows = self._feed.windows.kept(state.routes)
        evaluation = evaluate_rules(state, self._feed.windows, self._history, now)
        self.course.evaluated(evaluation, now)
        self._history = evaluation.history
        if evaluation.desired == evaluation.previous:
            decision, due_at = unchanged(state, evaluation, now, self._limits.decisions)
        else:
            decision, due_at = evaluation.decision(), evaluation.due_at
        if due_at is not None:
            self._bring_forward(due_at)
        if decision is not None:
            self._ask(c.RecordDesiredReplicas(deployment_id=state.id, decision=decision))

    def _bring_forward(self, due_at: datetime) -> None:
        self._due = due_at if self._due is None else min(self._due, due_at)
