from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

import pytest
from hypothesis import given as for_any
from hypothesis import settings
from hypothesis import strategies as st
from pydantic import ValidationError

from domain import commands as c
from domain import events as e
from domain.autoscaling.decision import DecisionReason, ScalingDecision
from domain.autoscaling.engine import ScalingInput, evaluate
from domain.autoscaling.reasoning import Reasoning
from domain.autoscaling.rules import Comparator, MetricSource, ScalingPolicy
from domain.autoscaling.samples import MetricSample
from domain.autoscaling.window import SampleWindows
from domain.errors import RejectionCode
from tests.domain import histories as h
from tests.domain.scenario import NOW, after, given

IDLE = h.BUSY.model_copy(update={"name": "idle", "comparator": Comparator.LESS_THAN, "threshold": 20.0, "step": -1})
UNDER_POLICY = (*h.READY, e.ScalingPolicySet(at=h.EARLIER, policy=h.POLICY))


def busy_at(
    value: float, current: int = 2, *, at: datetime = NOW, fired_at: Mapping[str, datetime] = MappingProxyType({})
) -> ScalingInput:
    sample = MetricSample(source=MetricSource.KERNEL, metric="gpu_util", value=value, at=at, route_id=h.route_id(1))
    samples = SampleWindows().added([sample], at)
    return ScalingInput(current=current, routes=[h.healthy(1)], samples=samples, rules_fired_at=fired_at)


def evaluated(policy: ScalingPolicy, given_input: ScalingInput, now: datetime) -> ScalingDecision | None:
    """The decision, where it changes anything."""
    evaluation = evaluate(policy, given_input, now)
    return None if evaluation.desired == evaluation.previous else evaluation.decision()


def desired(decision: ScalingDecision | None) -> int | None:
    return None if decision is None else decision.desired


def record(
    previous: int, wanted: int, rule: str | None = None, reason: DecisionReason = DecisionReason.RULE
) -> c.RecordDesiredReplicas:
    evaluation = None if rule is None else h.evaluation_of(h.BUSY.model_copy(update={"name": rule}), wanted)
    decision = ScalingDecision(previous=previous, desired=wanted, reason=reason, evaluation=evaluation)
    return c.RecordDesiredReplicas(deployment_id=h.DEPLOYMENT, decision=decision)


def test_a_decision_holds_the_rule_that_made_it() -> None:
    decision = evaluated(h.POLICY, busy_at(90), NOW)

    assert decision is not None
    assert (decision.previous, decision.desired, decision.reason) == (2, 3, DecisionReason.RULE)
    assert decision.evaluation is not None
    assert (decision.evaluation.rule, decision.evaluation.metric) == ("busy", 90.0)


def test_the_first_rule_that_changes_something_decides() -> None:
    big_step = h.BUSY.model_copy(update={"name": "big step", "step": 4})

    assert desired(evaluated(ScalingPolicy(rules=(IDLE, h.BUSY, big_step)), busy_at(90), NOW)) == 3
    assert desired(evaluated(ScalingPolicy(rules=(big_step, h.BUSY)), busy_at(90), NOW)) == 6


def test_a_rule_that_rests_or_cannot_move_leaves_it_to_the_next() -> None:
    at_its_max = h.BUSY.model_copy(update={"name": "at its max", "max_replicas": 2})

    assert desired(evaluated(ScalingPolicy(rules=(at_its_max, h.BUSY)), busy_at(90), NOW)) == 3


def test_the_bounds_of_the_policy_hold_for_every_rule() -> None:
    big_step = h.BUSY.model_copy(update={"step": 50})

    assert desired(evaluated(ScalingPolicy(rules=(big_step,), max_replicas=7), busy_at(90), NOW)) == 7
    assert evaluated(ScalingPolicy(rules=(h.BUSY,), max_replicas=2), busy_at(90), NOW) is None


def test_no_rule_and_no_samples_decide_nothing() -> None:
    no_samples = ScalingInput(current=2, routes=[h.healthy(1)])

    assert evaluated(ScalingPolicy(), busy_at(90), NOW) is None
    assert evaluated(h.POLICY, no_samples, NOW) is None


COUNT = st.integers(min_value=0, max_value=100)


@settings(max_examples=200)
@for_any(numbers=st.tuples(COUNT, COUNT, COUNT), step=st.integers(min_value=-50, max_value=50).filter(bool))
def test_no_bounds_turn_a_rule_around(numbers: tuple[int, int, int], step: int) -> None:
    low, current, high = sorted(numbers)
    rule = h.BUSY.model_copy(update={"step": step})

    decision = evaluated(ScalingPolicy(rules=(rule,), min_replicas=low, max_replicas=high), busy_at(90, current), NOW)

    if decision is not None:
        assert (decision.desired - current) * step > 0
        assert low <= decision.desired <= high


def test_the_cooldown_begins_with_the_decision() -> None:
    when = given(*UNDER_POLICY).when(record(2, 3, rule="busy"))

    when.then_events(e.DesiredReplicasCalculated)
    assert when.state.rules_fired_at == {"busy": NOW}
    for seconds, expected in ((299, None), (300, 4)):
        then = after(seconds)
        resting = busy_at(90, current=3, at=then, fired_at={"busy": NOW})
        assert desired(evaluated(h.POLICY, resting, then)) == expected


def test_a_decision_becomes_the_target() -> None:
    state = given(*UNDER_POLICY).when(record(2, 3, rule="busy")).state

    assert (state.replica_spec.replica_count, state.target_replica_count) == (2, 3)


def test_a_decision_that_changes_nothing_is_not_recorded() -> None:
    given(*UNDER_POLICY).when(record(2, 2, reason=DecisionReason.MANUAL)).then_nothing()


def test_a_decision_from_another_count_is_out_of_date() -> None:
    given(*UNDER_POLICY).when(record(3, 4, rule="busy")).then_rejected(RejectionCode.CHANGED_MEANWHILE)


def test_a_decision_by_a_rule_that_was_removed_is_out_of_date() -> None:
    given(*UNDER_POLICY).when(record(2, 3, rule="removed")).then_rejected(RejectionCode.CHANGED_MEANWHILE)


def test_a_decision_that_no_rule_of_today_has_won_is_out_of_date() -> None:
    reasoning = Reasoning(least=0, most=10, winner="removed")
    decision = ScalingDecision(previous=2, desired=3, reason=DecisionReason.RULE, reasoning=reasoning)

    given(*UNDER_POLICY).when(c.RecordDesiredReplicas(deployment_id=h.DEPLOYMENT, decision=decision)).then_rejected(
        RejectionCode.CHANGED_MEANWHILE
    )


def test_which_samples_were_used_is_remembered_as_long_as_a_rule_looks_at_their_metric() -> None:
    fired = given(*UNDER_POLICY).when(record(2, 3, rule="busy"))
    renamed = ScalingPolicy(rules=(h.BUSY.model_copy(update={"name": "other"}),))
    without = ScalingPolicy(rules=(h.BUSY.model_copy(update={"metric": "other"}),))

    kept = fired.and_when(c.SetScalingPolicy(deployment_id=h.DEPLOYMENT, policy=renamed))
    dropped = fired.and_when(c.SetScalingPolicy(deployment_id=h.DEPLOYMENT, policy=without))

    assert list(kept.state.watermarks_used) == [(h.BUSY.source, h.BUSY.metric)]
    assert dropped.state.watermarks_used == {}


def test_a_decision_under_an_older_policy_is_brought_inside_the_bounds_of_today() -> None:
    when = given(*UNDER_POLICY).when(record(2, 12, rule="busy"))

    assert when.state.target_replica_count == 10
    given(*UNDER_POLICY, h.desired(2, 10)).when(record(10, 12, rule="busy")).then_nothing()


def test_two_rules_cannot_share_the_name_that_their_cooldown_is_kept_by() -> None:
    with pytest.raises(ValidationError, match="rules share the name 'busy'"):
        ScalingPolicy(rules=(h.BUSY, h.BUSY.model_copy(update={"step": 2})))
