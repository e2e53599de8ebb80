from datetime import timedelta

import pytest
from pydantic import ValidationError

from domain.autoscaling.behavior import Behavior, RatePolicy, RateUnit, ScalingRules
from domain.autoscaling.decision import DecisionReason
from domain.autoscaling.engine import Evaluation
from domain.autoscaling.history import ActivityMemory, ScalingHistory
from domain.autoscaling.metric import MetricSource
from domain.autoscaling.outcome import Verdict
from domain.autoscaling.rules import ScaleToZeroRule, ScalingPolicy, ScalingRule
from domain.autoscaling.samples import MetricSample
from tests.domain.autoscaling.worlds import NOW, after, asking_for, desired, evaluated, exactly, of_whole, outcome

ZERO = ScaleToZeroRule(
    name="zero", source=MetricSource.KERNEL, metric="queue", activation_threshold=50, cold_start_replicas=2
)


def quiet_since(seconds: float) -> ScalingHistory:
    """There was no activity for so long."""
    return ScalingHistory(evaluated_at=NOW, memories={"zero": ActivityMemory(active_at=after(-seconds))})


def queue(length: float) -> MetricSample:
    """So many requests wait."""
    return of_whole(length, metric="queue")


def at(
    length: float | None, *rules: ScalingRule, current: int = 3, quiet: float = 0, baseline: int | None = None
) -> Evaluation:
    """Evaluate with so many requests waiting, after a time of quiet."""
    samples = [] if length is None else [queue(length)]
    samples += [asking_for(count) for count in (0, 4, 8)]
    return evaluated(ZERO, *rules, current=current, samples=samples, history=quiet_since(quiet), baseline=baseline)


def test_the_last_replicas_go_once_it_has_been_quiet_for_the_cooldown() -> None:
    assert desired(at(0, current=3, quiet=299)) == 3
    evaluation = at(0, current=3, quiet=300)
    assert (evaluation.desired, evaluation.reason, evaluation.reasoning.winner) == (0, DecisionReason.RULE, "zero")


def test_activation_is_strictly_above_its_threshold_and_outranks_what_other_rules_ask_for() -> None:
    assert desired(at(40, exactly(4), quiet=300)) == 0
    assert desired(at(50, exactly(4), quiet=300)) == 0
    assert desired(at(51, exactly(4), quiet=300)) == 4


def test_a_rule_that_cannot_tell_keeps_the_last_replica_too() -> None:
    blind = exactly(3, name="blind").model_copy(update={"metric": "nothing"})

    evaluation = at(0, blind, quiet=300)

    assert (evaluation.desired, evaluation.reason) == (3, DecisionReason.NO_METRICS)


def test_while_there_is_activity_no_other_rule_takes_the_last_replica() -> None:
    assert desired(at(51, exactly(0), current=1)) == 1


def test_in_the_cooldown_no_other_rule_takes_the_last_replica() -> None:
    evaluation = at(0, exactly(0), current=1, quiet=10)

    assert evaluation.desired == 1
    assert evaluation.due_at == after(290)


def test_activity_starts_a_deployment_from_zero_at_once() -> None:
    evaluation = at(51, current=0, quiet=9999)

    assert (evaluation.desired, evaluation.reason) == (2, DecisionReason.RULE)


def test_a_start_from_zero_makes_as_many_as_another_rule_needs() -> None:
    assert desired(at(51, exactly(8), current=0)) == 8


def test_a_start_from_zero_without_rules_that_size_it_makes_the_number_set_by_hand() -> None:
    assert desired(at(51, current=0, baseline=3)) == 3


def test_a_start_from_zero_waits_for_no_window_and_no_rate() -> None:
    slow = RatePolicy(unit=RateUnit.REPLICAS, value=1, period_seconds=600)
    behavior = Behavior(scale_up=ScalingRules(stabilization_window_seconds=600, policies=(slow,)))

    evaluation = evaluated(ZERO, current=0, samples=[queue(51)], policy={"behavior": behavior})

    assert evaluation.desired == 2


def test_going_to_zero_keeps_to_the_rate_policies() -> None:
    slow = RatePolicy(unit=RateUnit.REPLICAS, value=2, period_seconds=60)
    policy = {"behavior": Behavior(scale_down=ScalingRules(policies=(slow,)))}

    evaluation = evaluated(ZERO, current=5, samples=[queue(0)], history=quiet_since(300), policy=policy)

    assert (evaluation.desired, evaluation.due_at) == (3, after(60))


def test_at_zero_no_other_rule_makes_a_first_replica() -> None:
    assert desired(at(0, exactly(4), current=0)) == 0


def test_without_samples_nothing_goes_to_zero_and_nothing_comes_from_it() -> None:
    assert desired(at(None, exactly(0), current=1, quiet=9999)) == 1
    blind = at(None, exactly(4), current=0)
    assert (blind.desired, blind.reason) == (0, DecisionReason.NO_METRICS)


def test_time_without_samples_is_not_time_of_quiet() -> None:
    blind = at(None, current=1, quiet=250)

    evaluation = evaluated(
        ZERO, current=1, samples=[of_whole(0, metric="queue", at=after(60))], history=blind.history, now=after(60)
    )

    assert (evaluation.desired, outcome(evaluation).verdict) == (1, Verdict.COOLING)


def test_after_a_restart_without_memory_the_cooldown_begins_anew() -> None:
    evaluation = evaluated(ZERO, current=1, samples=[queue(0)], history=ScalingHistory())

    assert (evaluation.desired, evaluation.due_at) == (1, NOW + timedelta(seconds=300))


def test_the_cooldown_restarts_with_each_sign_of_activity() -> None:
    active = at(51, current=1, quiet=9999)

    assert active.history.memories["zero"] == ActivityMemory(active_at=NOW)


def test_with_two_activity_rules_both_have_to_be_quiet() -> None:
    other = ZERO.model_copy(update={"name": "other", "metric": "sessions"})
    history = ScalingHistory(
        evaluated_at=NOW,
        memories={"zero": ActivityMemory(active_at=after(-400)), "other": ActivityMemory(active_at=after(-100))},
    )

    def evaluation(sessions: float) -> Evaluation:
        samples = [queue(0), of_whole(sessions, metric="sessions")]
        return evaluated(ZERO, other, current=1, samples=samples, history=history)

    assert (evaluation(0).desired, evaluation(99).desired) == (1, 1)


def test_a_policy_that_keeps_a_replica_cannot_scale_to_zero() -> None:
    with pytest.raises(ValidationError, match="'zero' scales to zero, but min_replicas is 1"):
        ScalingPolicy(rules=(ZERO,), min_replicas=1)
