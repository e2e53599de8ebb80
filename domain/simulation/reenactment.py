"""What was recorded, gone through again by the recorded rules: every decision is made anew, at the recorded moments.

An evaluation is given the state of the version that it was recorded for and the samples that it had seen, so that it
comes to what it came to then. Where it does not, the log does not explain itself, and that is said.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from domain import commands as c
from domain import events as e
from domain.autoscaling.decision import DecisionReason, ScalingDecision
from domain.autoscaling.history import MAX_WINDOW, ScalingHistory
from domain.autoscaling.record import EvaluationRecord, record_of, restored
from domain.autoscaling.rules import ScalingPolicy
from domain.autoscaling.window import SampleWindows
from domain.decide import decide
from domain.deployment import Deployment
from domain.errors import CommandRejected
from domain.evolve import evolve
from domain.limits import DecisionLimits
from domain.operations import Operation
from domain.recorded import OperationCause
from domain.scaling import evaluate_rules, unchanged
from domain.simulation.course import Course, TakenDecision
from domain.simulation.difference import Difference, differing
from domain.simulation.recorded import PastEvent, RecordedPast
from domain.simulation.sample_feed import SampleFeed
from domain.work import scales

#: How long after its evaluation a decision may be recorded and still count as that evaluation's (seconds).
_RECORDED_WITHIN: Final = 60.0


class Reenactment:
    """Goes through a past from one moment on.

    Attributes:
        course: What comes of it.
        differences: Where it differs from what is recorded.
        unchecked: How many decisions were taken over as they are recorded (count): at most the first, where it is what
            the last evaluation before the beginning came to.
        since: Up to which moment it has come.
        state: The deployment as it is by then; ``None`` before it was created.
        history: What the rules remember by then.
    """

    def __init__(self, past: RecordedPast, since: datetime, *, limits: DecisionLimits, window_samples: int) -> None:
        self._past = past
        self.since = since
        self._limits = limits
        self._feed = SampleFeed(past.arrivals, window_samples=window_samples)
        self._records = [record for record in past.evaluations if record.at < since]
        self._before = self._records[-1] if self._records else None
        self._policy: ScalingPolicy | None = None
        self._pending: ScalingDecision | None = None
        self._following: list[e.DeploymentEvent] = []
        self._next = 0
        self.course = Course()
        self.differences: list[Difference] = []
        self.unchecked = 0
        self.state: Deployment | None = None
        self.history = ScalingHistory()
        while self._next < len(past.events) and past.events[self._next].event.at < since:
            self.state = evolve(self.state, past.events[self._next].event)
            self._next += 1
        if self.state is not None:
            self.course.count(self.state, since)

    def run(self, until: datetime) -> None:
        """Go on to a moment, without what happened at it."""
        for record in self._past.evaluations:
            if self.since <= record.at < until:
                while self.state is None or self.state.version < record.version:
                    if not self._go_on():
                        self._differ(record.at, "evaluation of a version that is not there", record, {})
                        return
                self._evaluate(record)
        while self._next < len(self._past.events) and self._past.events[self._next].event.at < until:
            self._go_on()
        self.since = until

    def remember(self, policy: ScalingPolicy, now: datetime) -> ScalingHistory:
        """What rules remember that take over at a moment."""
        recent = now - timedelta(seconds=MAX_WINDOW)
        young = [record for record in self._records if record.at >= recent]
        old = [record for record in self._records if record.at < recent and record.memories is not None]
        return restored([*old[-1:], *young], policy.memory_seconds)

    def _evaluate(self, record: EvaluationRecord) -> None:
        state = self.state
        if state is None:
            return
        if self._policy != state.scaling_policy:
            self._policy, self.history = state.scaling_policy, self.remember(state.scaling_policy, record.at)
        samples = self._feed.received_until(record.samples_until, state)
        before = self.history._replace(is_restored=record.resumed)
        evaluation = evaluate_rules(state, samples, before, record.at)
        again = record_of(evaluation, before, record.version, samples_until=record.samples_until)
        if again != record:
            self._differ(record.at, "evaluation", record, again or {})
        self.course.evaluated(evaluation, record.at)
        self._before = None
        self.history = evaluation.history
        self._records.append(record)
        if evaluation.desired != evaluation.previous:
            self._pending = evaluation.decision()
        else:
            self._pending = unchanged(state, evaluation, record.at, self._limits).decision

    def _go_on(self) -> bool:
        """Let the next event happen; ``False`` where there is none."""
        if self._next >= len(self._past.events):
            return False
        past = self._past.events[self._next]
        self._next += 1
        if isinstance(past.event, e.DesiredReplicasCalculated):
            self._decided(past, past.event)
        elif self.state is not None and (command := intent(self.state, past.event)) is not None:
            self._following = list(self._decide(command, past.event.at))[1:]
        self.state = evolve(self.state, past.event)
        self.course.count(self.state, past.event.at)
        if not scales(self.state):
            # The live memory is dropped then, and restored when there are rules to evaluate again.
            self._policy = None
            self.course.rested(past.event.at)
        return True

    def _decided(self, past: PastEvent, event: e.DesiredReplicasCalculated) -> None:
        if self.state is None:
            return
        calculated = isinstance(past.cause, OperationCause) and past.cause.operation == Operation.CALCULATE
        if calculated:
            anew, self._pending = self._calculated(self.state, event), None
        else:
            anew, self._following = self._following, []
        if list(anew) != [event]:
            self._differ(event.at, "decision", event, anew[0] if len(anew) == 1 else anew)
        for each in anew:
            if isinstance(each, e.DesiredReplicasCalculated):
                self.course.decisions.append(TakenDecision(each.at, each.decision))

    def _calculated(self, state: Deployment, event: e.DesiredReplicasCalculated) -> Sequence[e.DeploymentEvent]:
        decision, before, self._before = self._pending, self._before, None
        if decision is None and before is not None and _came_to(before, event):
            self.unchecked += 1
            return [event]
        if decision is None:
            # Of rules that are not asked, because somebody put the deployment to sleep, there is no other record.
            decision = evaluate_rules(state, SampleWindows(), self.history, event.at).decision()
            if decision.reason is not DecisionReason.DISABLED:
                return []
        return self._decide(c.RecordDesiredReplicas(deployment_id=state.id, decision=decision), event.at)

    def _decide(self, command: c.AnyCommand, now: datetime) -> Sequence[e.DeploymentEvent]:
        try:
            return decide(self.state, command, now=now, ids=_no_ids, limits=self._limits)
        except CommandRejected as rejection:
            self._differ(now, "command", {}, {"rejected": rejection.message})
            return []

    def _differ(self, at: datetime, what: str, recorded: object, simulated: object) -> None:
        self.differences.append(differing(at, what, recorded, simulated))


def _came_to(record: EvaluationRecord, event: e.DesiredReplicasCalculated) -> bool:
    """Whether a decision can be that of an evaluation of which only the record is there."""
    decision, since = event.decision, (event.at - record.at).total_seconds()
    same = (decision.previous, decision.desired) == (record.previous, record.desired)
    return same and 0 <= since <= _RECORDED_WITHIN and decision.reason is not DecisionReason.DISABLED


def intent(state: Deployment, event: e.DeploymentEvent) -> c.AnyCommand | None:
    """What was asked of the deployment, if that is what an event tells of and a number may follow from it."""
    key = state.id
    match event:
        case e.ReplicaCountSet():
            return c.SetReplicaCount(deployment_id=key, replica_count=event.replica_count)
        case e.ScalingPolicySet():
            return c.SetScalingPolicy(deployment_id=key, policy=event.policy)
        case e.ScalingPauseSet():
            return c.PauseScaling(deployment_id=key, pause=event.pause)
        case e.ReplicasOverridden():
            return c.OverrideReplicas(deployment_id=key, replica_count=event.replica_count, until=event.until)
        case _:
            return None


def _no_ids() -> UUID:
    raise AssertionError("what is asked of a deployment makes no routes")
