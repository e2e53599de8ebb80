from domain import commands as c
from domain import events as e
from domain.autoscaling.decision import DecisionReason, ScalingDecision
from domain.autoscaling.rules import ScalingPolicy
from domain.deployment import Lifecycle, ReplicaSpec
from domain.errors import RejectionCode
from tests.domain import histories as h
from tests.domain.scenario import NOW, after, given


def set_count(count: int) -> c.SetReplicaCount:
    return c.SetReplicaCount(deployment_id=h.DEPLOYMENT, replica_count=count)


def set_policy(policy: ScalingPolicy) -> c.SetScalingPolicy:
    return c.SetScalingPolicy(deployment_id=h.DEPLOYMENT, policy=policy)


def with_policy(policy: ScalingPolicy) -> h.History:
    return (*h.READY, e.ScalingPolicySet(at=h.EARLIER, policy=policy))


def calculated(previous: int, desired: int, reason: DecisionReason) -> e.DesiredReplicasCalculated:
    decision = ScalingDecision(previous=previous, desired=desired, reason=reason)
    return e.DesiredReplicasCalculated(at=NOW, decision=decision)


HELD = (*h.READY, e.ReplicasOverridden(at=h.EARLIER, replica_count=7, until=after(60)))


def test_the_target_is_the_desired_count_if_there_is_one() -> None:
    assert ReplicaSpec(replica_count=2).target_replica_count == 2
    assert ReplicaSpec(replica_count=2, desired_replica_count=5).target_replica_count == 5
    assert ReplicaSpec(replica_count=2, desired_replica_count=0).target_replica_count == 0


def test_a_count_set_by_hand_clears_what_the_rules_desired() -> None:
    when = given(*with_policy(h.POLICY), h.desired(2, 5)).when(set_count(3))

    when.then(e.ReplicaCountSet(at=NOW, previous=5, replica_count=3))
    assert when.state.replica_spec == ReplicaSpec(replica_count=3, desired_replica_count=None)


def test_the_count_that_was_set_before_still_clears_what_the_rules_desired() -> None:
    when = given(*with_policy(h.POLICY), h.desired(2, 5)).when(set_count(2))

    when.then(e.ReplicaCountSet(at=NOW, previous=5, replica_count=2))


def test_a_count_set_by_hand_ends_an_override() -> None:
    when = given(*HELD).when(set_count(2))

    when.then(e.ReplicaCountSet(at=NOW, previous=7, replica_count=2))
    assert when.state.override is None
    assert when.state.target_replica_count == 2


def test_the_count_that_holds_already_has_no_effect() -> None:
    given(*h.READY).when(set_count(2)).then_events(e.CommandHadNoEffect)


def test_a_count_set_by_hand_is_brought_inside_the_policy_at_once() -> None:
    when = given(*with_policy(h.POLICY)).when(set_count(50))

    when.then(e.ReplicaCountSet(at=NOW, previous=2, replica_count=50), calculated(50, 10, DecisionReason.BOUNDS))
    assert when.state.target_replica_count == 10


def test_a_count_outside_the_policy_has_no_effect_the_second_time() -> None:
    first = given(*with_policy(h.POLICY)).when(set_count(50))

    first.and_when(set_count(50)).then_events(e.CommandHadNoEffect)


def test_a_new_count_makes_a_ready_deployment_a_mismatch_to_be_found() -> None:
    when = given(*h.READY).when(set_count(3))

    assert when.state.lifecycle is Lifecycle.READY
    mismatch = c.RecordReplicaCountMismatch(deployment_id=h.DEPLOYMENT, expected=3, actual=2)
    assert when.and_when(mismatch).state.lifecycle is Lifecycle.SCALING


def test_a_target_outside_a_new_policy_is_brought_inside_without_waiting_for_metrics() -> None:
    at_least_four = h.POLICY.model_copy(update={"min_replicas": 4})

    when = given(*h.READY).when(set_policy(at_least_four))

    when.then(e.ScalingPolicySet(at=NOW, policy=at_least_four), calculated(2, 4, DecisionReason.BOUNDS))


def test_a_policy_whose_min_is_above_its_max_is_rejected() -> None:
    when = given(*h.READY).when(set_policy(ScalingPolicy(min_replicas=5, max_replicas=4)))

    when.then_rejected(RejectionCode.INVALID_BOUNDS, "policy.min_replicas")


def test_the_same_policy_again_has_no_effect() -> None:
    given(*with_policy(h.POLICY)).when(set_policy(h.POLICY)).then_events(e.CommandHadNoEffect)


def test_with_other_rules_the_count_that_the_old_rules_came_to_goes_on() -> None:
    wider = h.POLICY.model_copy(update={"max_replicas": 20})

    when = given(*with_policy(h.POLICY), h.desired(2, 6)).when(set_policy(wider))

    when.then(e.ScalingPolicySet(at=NOW, policy=wider))
    assert when.state.target_replica_count == 6


def test_without_rules_the_count_set_by_hand_comes_back() -> None:
    when = given(*with_policy(h.POLICY), h.desired(2, 6)).when(set_policy(ScalingPolicy()))

    when.then(e.ScalingPolicySet(at=NOW, policy=ScalingPolicy()), calculated(6, 2, DecisionReason.MANUAL))


def test_bounds_that_were_lifted_let_the_count_set_by_hand_through() -> None:
    at_most_one = ScalingPolicy(max_replicas=1)
    held_down = given(*with_policy(at_most_one)).when(set_count(4))
    assert held_down.state.target_replica_count == 1

    assert held_down.and_when(set_policy(ScalingPolicy(max_replicas=3))).state.target_replica_count == 3
    assert held_down.and_when(set_policy(ScalingPolicy())).state.target_replica_count == 4


def test_a_new_policy_leaves_an_override_alone() -> None:
    at_most_three = h.POLICY.model_copy(update={"max_replicas": 3})

    when = given(*HELD).when(set_policy(at_most_three))

    when.then(e.ScalingPolicySet(at=NOW, policy=at_most_three))
    assert when.state.target_replica_count == 7


def test_a_rule_that_stays_keeps_its_cooldown_and_one_that_goes_loses_it() -> None:
    idle = h.BUSY.model_copy(update={"name": "idle"})
    fired = [h.fired(h.BUSY, 2, 3), h.fired(idle, 3, 2)]
    history = (*with_policy(ScalingPolicy(rules=(h.BUSY, idle))), *fired)

    state = given(*history).when(set_policy(h.POLICY)).state

    assert state.rules_fired_at == {"busy": h.EARLIER}
