"""Other rules on the same samples: what the live engine would have done, with replicas by a model."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from domain.autoscaling.decision import DecisionReason
from domain.autoscaling.metric import Comparator, MetricSource
from domain.autoscaling.rules import ScalingPolicy
from domain.autoscaling.samples import MetricSample
from domain.autoscaling.schedule import ScheduleRule
from domain.autoscaling.step import StepRule
from domain.autoscaling.target_tracking import TargetTrackingRule, TargetType
from domain.errors import CommandRejected
from domain.simulation.course import Counts, Pressure
from domain.simulation.measures import Measures, measures_of
from domain.simulation.model import SimulationModel
from domain.simulation.recorded import SampleArrival
from domain.simulation.simulate import Simulated, tried_before_deploying
from domain.simulation.trial import TooManyEvaluations, TrialLimits

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LIMITS = TrialLimits()
ROUTES = [UUID(int=number) for number in range(1, 10)]


def at(seconds: float) -> datetime:
    """So long after noon."""
    return NOON + timedelta(seconds=seconds)


def queue(*values: float, apart: float = 15.0) -> Sequence[SampleArrival]:
    """The length of a queue of the deployment as a whole, at even distances from noon."""
    about = {"source": MetricSource.INFERENCE_FRAMEWORK, "metric": "queue"}
    moments = [at(number * apart) for number in range(len(values))]
    return [
        SampleArrival(moment, [MetricSample.model_validate({**about, "value": value, "at": moment})])
        for moment, value in zip(moments, values, strict=True)
    ]


def load(*loads: Sequence[float], apart: float = 15.0) -> Sequence[SampleArrival]:
    """The load of each of some routes, at even distances from noon."""
    return [
        SampleArrival(
            at(number * apart),
            [
                MetricSample(
                    source=MetricSource.KERNEL, metric="util", value=value, at=at(number * apart), route_id=key
                )
                for key, value in zip(ROUTES, values, strict=False)
            ],
        )
        for number, values in enumerate(loads)
    ]


def tracking(target: float = 10, **more: object) -> ScalingPolicy:
    """So much of the queue for each replica."""
    rule = TargetTrackingRule(
        name="queue",
        source=MetricSource.INFERENCE_FRAMEWORK,
        metric="queue",
        target=target,
        target_type=TargetType.TOTAL_AVERAGE,
    )
    return ScalingPolicy.model_validate({"rules": (rule,), "min_replicas": 1, "max_replicas": 20, **more})


BUSY = ScalingPolicy(
    rules=(
        StepRule(
            name="busy",
            source=MetricSource.KERNEL,
            metric="util",
            comparator=Comparator.GREATER_THAN,
            threshold=80,
            step=1,
            cooldown_seconds=20,
        ),
    ),
    max_replicas=50,
)


def tried(
    arrivals: Sequence[SampleArrival],
    policy: ScalingPolicy,
    *,
    replicas: int = 1,
    seconds: float = 600,
    limits: TrialLimits = LIMITS,
    **model: float,
) -> Simulated:
    """Try a policy for so long."""
    return tried_before_deploying(
        "tried", replicas, arrivals, policy, NOON, at(seconds), model=SimulationModel(**model), limits=limits
    )


def desired(simulated: Simulated) -> list[tuple[float, int]]:
    """When the wanted number changed (seconds after noon), and to what."""
    changes: list[tuple[float, int]] = []
    for entry in simulated.course.counts:
        if not changes or changes[-1][1] != entry.desired:
            changes.append(((entry.at - NOON).total_seconds(), entry.desired))
    return changes


def measures(simulated: Simulated, seconds: float = 600) -> Measures:
    return measures_of(simulated.course, at(seconds), flap_seconds=300)


def test_news_is_answered_after_the_debounce() -> None:
    found = tried(queue(10, 40), tracking(), limits=TrialLimits(debounce_seconds=0.05))

    assert desired(found) == [(0, 1), (15.05, 4)]


def test_a_replica_serves_after_the_time_that_the_model_says() -> None:
    found = tried(queue(40), tracking(), start_up_seconds=90)

    ready = [((entry.at - NOON).total_seconds(), entry.active, entry.ready) for entry in found.course.counts]
    assert ready == [(0, 1, 1), (0.05, 4, 1), (90.05, 4, 4)]


def test_what_a_window_holds_back_comes_when_it_lets_go_without_news() -> None:
    found = tried(queue(40, 10), tracking(), seconds=400)

    assert desired(found)[-1][1] == 1
    assert 300 <= desired(found)[-1][0] <= 315.1


def test_the_edges_of_a_schedule_need_no_sample() -> None:
    lunch = ScheduleRule(name="lunch", time_zone="UTC", start="2 12 * * *", end="5 12 * * *", floor=3)

    found = tried((), ScalingPolicy(rules=(lunch,)))

    assert desired(found) == [(0, 1), (120, 3), (300, 1)]


def test_the_same_input_gives_the_same_course() -> None:
    arrivals = queue(*[(number * 7919) % 101 for number in range(200)])

    assert tried(arrivals, tracking()) == tried(arrivals, tracking())


def test_without_feedback_a_replica_more_measures_what_the_others_do() -> None:
    found = tried(load(*[[90.0]] * 4), BUSY, start_up_seconds=0)

    assert desired(found)[-1][1] >= 4


def test_with_feedback_replicas_share_the_load_up_to_their_capacity() -> None:
    found = tried(load(*[[90.0]] * 4), BUSY, start_up_seconds=0, capacity_per_replica=100)
    overloaded = tried(load(*[[500.0]] * 4), BUSY, start_up_seconds=0, capacity_per_replica=100)

    assert desired(found)[-1][1] == 2
    assert overloaded.course.decisions[0].decision.reasoning is not None
    assert overloaded.course.decisions[0].decision.reasoning.rules[0].value == 100


def test_a_policy_that_nobody_could_set_is_refused() -> None:
    with pytest.raises(CommandRejected, match="min_replicas 9 is above max_replicas 3"):
        tried((), tracking(min_replicas=9, max_replicas=3))


def test_too_many_evaluations_are_an_error_and_no_shorter_answer() -> None:
    with pytest.raises(TooManyEvaluations, match="more than 5 evaluations"):
        tried(queue(*[10, 90] * 20), tracking(), limits=TrialLimits(evaluations=5))


def test_every_decision_says_why_it_was_made() -> None:
    found = tried(queue(40), tracking(max_replicas=3))

    first = found.course.decisions[0].decision
    assert (first.previous, first.desired, first.reason) == (1, 3, DecisionReason.RULE)


def test_numbers_of_a_course() -> None:
    """One replica for 100 s, five for 200 s, two for 100 s, and five again, of at most five."""
    found = tried((), ScalingPolicy())
    steps = [(0, 1), (100, 5), (300, 2), (400, 5)]
    found.course.counts[:] = [Counts(at(seconds), count, count, count, 5) for seconds, count in steps]

    told = measures(found)

    assert told.replica_hours == round((100 + 5 * 200 + 2 * 100 + 5 * 200) / 3600, 6)
    assert (told.scalings, told.flaps, told.largest_step) == (3, 2, 4)
    assert (told.at_max_seconds, told.highest, told.lowest) == (400, 5, 1)


def test_nobody_can_tell_the_load_once_rules_are_not_asked_any_more() -> None:
    """Above the target for 10 s, then put to sleep."""
    found = tried((), ScalingPolicy(), seconds=60)
    found.course.pressure[:] = [Pressure(at(0), above_target=True)]
    found.course.rested(at(10))
    found.course.rested(at(20))

    assert found.course.pressure == [Pressure(at(0), above_target=True), Pressure(at(10), None)]
    assert measures(found, 60).above_target_seconds == 10


def test_time_above_target_is_that_of_the_rules_own_target() -> None:
    found = tried(queue(5, 15, 15, 5), tracking(max_replicas=1), seconds=60, limits=TrialLimits(debounce_seconds=0))

    assert measures(found, 60).above_target_seconds == 30
    assert measures(found, 60).unmeasured_seconds == 0
