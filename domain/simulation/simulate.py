"""What happened, and what would have happened under other rules."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from domain.autoscaling.history import ScalingHistory
from domain.autoscaling.rules import ScalingPolicy
from domain.errors import RoutekeeperError
from domain.events import DestructionRequested, ScalingPolicySet
from domain.simulation.course import Course
from domain.simulation.difference import Difference
from domain.simulation.model import SimulationModel
from domain.simulation.recorded import RecordedPast, SampleArrival
from domain.simulation.reenactment import Reenactment
from domain.simulation.simulated_routes import imagined
from domain.simulation.trial import Trial, TrialLimits

_NO_FEEDBACK: Final = SimulationModel()
_LIMITS: Final = TrialLimits()


class NothingToSimulate(RoutekeeperError):
    """There was no deployment in the time that was asked about."""


@dataclass(frozen=True, slots=True)
class Simulated:
    """What a simulation came to.

    Until ``as_recorded_until`` rules, replicas and moments of evaluation are the recorded ones, and ``differences`` are
    what the rules come to there otherwise than is recorded; from then on the model counts. ``unchecked``: how many
    decisions were taken over without being made again, as they were evaluated before the beginning (count).
    """

    course: Course
    as_recorded_until: datetime
    differences: Sequence[Difference] = ()
    unchecked: int = 0


def reenacted(past: RecordedPast, since: datetime, until: datetime, limits: TrialLimits) -> Simulated:
    """Go through the past by the recorded rules. Raises :class:`NothingToSimulate`."""
    again = _reenactment(past, since, until, limits)
    again.run(until)
    return Simulated(again.course, until, again.differences, again.unchecked)


def ends_at(past: RecordedPast, since: datetime, until: datetime) -> datetime:
    """Up to when there is something to simulate: ``until``, or when the deployment's destruction began.

    From then on no rule is asked. Raises :class:`NothingToSimulate` where that was at or before ``since``.
    """
    requests = (event.at for event, _ in past.events if isinstance(event, DestructionRequested))
    end = min([until, *requests])
    if end <= since:
        raise NothingToSimulate(
            f"the destruction of the deployment began at {end.isoformat()}, not after the beginning"
        )
    return end


def tried(
    past: RecordedPast,
    policy: ScalingPolicy,
    since: datetime,
    until: datetime,
    *,
    model: SimulationModel = _NO_FEEDBACK,
    limits: TrialLimits = _LIMITS,
) -> Simulated:
    """Go through the past by ``policy``, as if it had been set at ``since`` and stayed.

    As long as that is what was recorded, everything is as recorded; from the first moment that the recorded rules are
    others, or from the beginning if load answers to replicas, it is a trial. Raises :class:`NothingToSimulate`, and
    ``CommandRejected`` where nobody could have set these rules.
    """
    again = _reenactment(past, since, until, limits)
    parts = _parting(past, policy, since, until, in_step=model.capacity_per_replica is None)
    again.run(parts)
    if parts >= until or again.state is None:
        return Simulated(again.course, until, again.differences, again.unchecked)
    history = again.remember(policy, parts)
    trial = Trial(again.state, history, past, parts, course=again.course, model=model, limits=limits)
    trial.run(policy, until)
    return Simulated(trial.course, parts, again.differences, again.unchecked)


def tried_before_deploying(
    name: str,
    replicas: int,
    arrivals: Sequence[SampleArrival],
    policy: ScalingPolicy,
    since: datetime,
    until: datetime,
    *,
    model: SimulationModel = _NO_FEEDBACK,
    limits: TrialLimits = _LIMITS,
) -> Simulated:
    """Try ``policy`` on samples alone, beginning with so many replicas that serve. Raises ``CommandRejected``."""
    past = RecordedPast(events=(), arrivals=arrivals)
    course = Course()
    state = imagined(name, replicas, since)
    trial = Trial(state, ScalingHistory(), past, since, course=course, model=model, limits=limits)
    trial.run(policy, until)
    return Simulated(course, since)


def _reenactment(past: RecordedPast, since: datetime, until: datetime, limits: TrialLimits) -> Reenactment:
    if not past.events or past.events[0].event.at >= until:
        raise NothingToSimulate("the deployment did not exist in this time")
    return Reenactment(past, since, limits=limits.decisions, window_samples=limits.window_samples)


def _parting(past: RecordedPast, policy: ScalingPolicy, since: datetime, until: datetime, *, in_step: bool) -> datetime:
    """The first moment at which the recorded rules are others; not before the deployment was made."""
    begin = max(since, past.events[0].event.at + datetime.resolution)
    set_ = [event for event, _ in past.events if isinstance(event, ScalingPolicySet)]
    recorded = next((event.policy for event in reversed(set_) if event.at < begin), ScalingPolicy())
    if recorded != policy or not in_step:
        return begin
    return next((event.at for event in set_ if begin <= event.at < until and event.policy != policy), until)
