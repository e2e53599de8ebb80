"""When rules are evaluated: after news, when an evaluation said so, and never for want of a tick."""

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from domain.autoscaling.rules import ScalingPolicy
from domain.deployment import Deployment, Lifecycle, ReplicaOverride
from domain.failures import FailureKind
from domain.operations import Operation, OperationFailure
from handlers.evaluation_schedule import EvaluationSchedule
from tests.executor_doubles import a_deployment
from tests.executor_world import QUEUE_RULE
from tests.set_clock import SetClock

A, B = UUID(int=1), UUID(int=2)


def ruled() -> Deployment:
    return replace(a_deployment(1), lifecycle=Lifecycle.READY, scaling_policy=ScalingPolicy(rules=(QUEUE_RULE,)))


def after(seconds: float) -> datetime:
    return SetClock.now + timedelta(seconds=seconds)


def a_schedule(debounce: float = 0.5) -> EvaluationSchedule:
    return EvaluationSchedule(SetClock(), debounce_seconds=debounce)


def test_all_news_within_the_debounce_time_is_one_evaluation() -> None:
    schedule = a_schedule()
    for _ in range(5):
        schedule.has_news(A)

    assert schedule.take(after(0.4), 10, busy=()) == set()
    assert schedule.take(after(0.5), 10, busy=()) == {A}
    assert schedule.earliest() is None


def test_news_comes_before_what_the_last_evaluation_said_and_never_after_it() -> None:
    schedule = a_schedule()
    schedule.evaluated(A, after(60))
    schedule.has_news(A)
    schedule.evaluated(B, after(0.1))
    schedule.has_news(B)

    assert schedule.take(after(0.1), 10, busy=()) == {B}
    assert schedule.take(after(0.5), 10, busy=()) == {A}


def test_who_is_busy_is_evaluated_afterwards() -> None:
    schedule = a_schedule()
    schedule.has_news(A)

    assert schedule.take(after(1), 10, busy={A}) == set()
    assert schedule.earliest() is None
    schedule.idle(A)
    schedule.idle(B)

    assert schedule.take(after(1), 10, busy=()) == {A}


def test_who_has_no_rules_any_more_or_is_held_by_hand_is_not_evaluated() -> None:
    state = ruled()
    for changed in (
        replace(state, scaling_policy=ScalingPolicy()),
        replace(state, override=ReplicaOverride(replica_count=1, until=None)),
        replace(state, lifecycle=Lifecycle.DESTROYING),
    ):
        schedule = a_schedule()
        schedule.has_changed(state)
        schedule.has_changed(changed)

        assert schedule.earliest() is None


def test_after_a_failure_the_next_try_waits_for_its_time() -> None:
    failure = OperationFailure(
        code="odd",
        reason="odd",
        kind=FailureKind.TRANSIENT,
        attempts=1,
        failed_at=SetClock.now,
        next_attempt_at=after(30),
        version=1,
    )
    schedule = a_schedule()
    schedule.has_changed(replace(ruled(), failures={Operation.CALCULATE: failure}))

    assert schedule.earliest() == after(30)


def test_at_most_so_many_are_given_at_once_and_the_rest_stays_due() -> None:
    schedule = a_schedule()
    schedule.evaluate_all([UUID(int=number) for number in range(10)])

    assert len(schedule.take(after(0), 4, busy=())) == 4
    assert len(schedule.take(after(0), 100, busy=())) == 6
