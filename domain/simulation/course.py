"""What a deployment went through, as recorded or as simulated: counts over time, decisions, and how loaded it was."""

from dataclasses import dataclass, field
from datetime import datetime

from domain.autoscaling.decision import ScalingDecision
from domain.autoscaling.evaluation import Evaluation
from domain.autoscaling.metric import Comparator
from domain.deployment import Deployment
from domain.routes import RouteStatus


@dataclass(frozen=True, slots=True)
class Counts:
    """Replicas from a moment on: wanted, there, and ready to serve; ``most`` is the policy's largest number."""

    at: datetime
    desired: int
    active: int
    ready: int
    most: int


@dataclass(frozen=True, slots=True)
class TakenDecision:
    """A decision and when it took effect."""

    at: datetime
    decision: ScalingDecision


@dataclass(frozen=True, slots=True)
class Pressure:
    """Whether a rule's metric is above its target from a moment on; ``None``: no rule can tell."""

    at: datetime
    above_target: bool | None


@dataclass(slots=True)
class Course:
    """Everything in the order of time; ``evaluations`` is how often the rules were evaluated (count)."""

    counts: list[Counts] = field(default_factory=list)
    decisions: list[TakenDecision] = field(default_factory=list)
    pressure: list[Pressure] = field(default_factory=list)
    evaluations: int = 0

    def count(self, state: Deployment, at: datetime) -> None:
        """Note the replicas of a state, unless they are as before."""
        active = state.active_routes
        ready = sum(route.status is RouteStatus.HEALTHY or route.status is RouteStatus.DEGRADED for route in active)
        entry = Counts(at, state.target_replica_count, len(active), ready, state.scaling_policy.max_replicas)
        if self.counts and self.counts[-1].at == at:
            self.counts[-1] = entry
        elif not self.counts or _differ(self.counts[-1], entry):
            self.counts.append(entry)

    def evaluated(self, evaluation: Evaluation, at: datetime) -> None:
        """Note an evaluation."""
        self.evaluations += 1
        above = _above_target(evaluation)
        if not self.pressure or self.pressure[-1].above_target is not above:
            self.pressure.append(Pressure(at, above))

    def rested(self, at: datetime) -> None:
        """Note that no rules are asked from here on: nobody can tell."""
        if self.pressure and self.pressure[-1].above_target is not None:
            self.pressure.append(Pressure(at, None))


def _differ(one: Counts, other: Counts) -> bool:
    return (one.desired, one.active, one.ready, one.most) != (other.desired, other.active, other.ready, other.most)


def _above_target(evaluation: Evaluation) -> bool | None:
    """A step rule for too little load has nothing to be above of."""
    seen = [
        outcome.value > outcome.target
        for outcome in evaluation.reasoning.rules
        if outcome.value is not None
        and outcome.target is not None
        and outcome.comparator not in {Comparator.LESS_THAN, Comparator.LESS_THAN_OR_EQUAL}
    ]
    return any(seen) if seen else None
