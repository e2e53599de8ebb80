import pytest

from domain import commands as c
from domain import events as e
from domain.autoscaling.decision import DecisionReason, ScalingDecision
from domain.autoscaling.rules import ScalingPolicy
from domain.deployment import ReplicaOverride
from domain.errors import RejectionCode
from tests.domain import histories as h
from tests.domain.scenario import NOW, after, given

UNTIL = after(60)
EXPIRE = c.ExpireReplicaOverride(deployment_id=h.DEPLOYMENT)


def override(count: int) -> c.OverrideReplicas:
    return c.OverrideReplicas(deployment_id=h.DEPLOYMENT, replica_count=count, until=UNTIL)


def held(count: int, policy: ScalingPolicy) -> h.History:
    return (
        *h.READY,
        e.ScalingPolicySet(at=h.EARLIER, policy=policy),
        e.ReplicasOverridden(at=h.EARLIER, replica_count=count, until=UNTIL),
    )


def test_an_override_holds_its_count_until_its_moment() -> None:
    when = given(*h.READY).when(override(5))

    when.then(e.ReplicasOverridden(at=NOW, replica_count=5, until=UNTIL))
    assert when.state.override == ReplicaOverride(replica_count=5, until=UNTIL)
    assert when.state.target_replica_count == 5


def test_an_override_may_leave_the_bounds_of_the_policy() -> None:
    given(*h.READY, e.ScalingPolicySet(at=h.EARLIER, policy=h.POLICY)).when(override(50)).then_events(
        e.ReplicasOverridden
    )


@pytest.mark.parametrize("seconds", [0, -1])
def test_an_override_until_a_moment_that_is_over_is_rejected(seconds: float) -> None:
    command = c.OverrideReplicas(deployment_id=h.DEPLOYMENT, replica_count=5, until=after(seconds))

    given(*h.READY).when(command).then_rejected(RejectionCode.INVALID_UNTIL, "until")


def test_the_same_override_again_has_no_effect_and_another_replaces_it() -> None:
    first = given(*h.READY).when(override(5))

    first.and_when(override(5)).then_events(e.CommandHadNoEffect)
    assert first.and_when(override(6)).state.target_replica_count == 6


def test_the_rules_are_suspended_while_an_override_holds() -> None:
    decision = ScalingDecision(previous=5, desired=6, reason=DecisionReason.RULE)
    command = c.RecordDesiredReplicas(deployment_id=h.DEPLOYMENT, decision=decision)

    given(*held(5, h.POLICY)).when(command).then_rejected(RejectionCode.CHANGED_MEANWHILE)


def test_an_override_does_not_expire_before_its_moment() -> None:
    given(*held(5, h.POLICY)).when(EXPIRE, at=after(59.9)).then_nothing()


def test_an_override_without_a_moment_never_expires_by_itself() -> None:
    for_good = e.ReplicasOverridden(at=h.EARLIER, replica_count=5, until=None)

    given(*h.READY, for_good).when(EXPIRE, at=after(10_000_000)).then_nothing()


@pytest.mark.parametrize(
    ("policy", "count", "desired", "target"),
    [
        pytest.param(h.POLICY, 5, 5, 5, id="rules go on from its count"),
        pytest.param(h.POLICY, 50, 10, 10, id="rules go on from its count inside their bounds"),
        pytest.param(ScalingPolicy(), 5, None, 2, id="without rules the count set by hand is back"),
        pytest.param(ScalingPolicy(min_replicas=3), 5, 3, 3, id="the count set by hand is back inside the bounds"),
    ],
)
def test_what_counts_after_an_override(policy: ScalingPolicy, count: int, desired: int | None, target: int) -> None:
    when = given(*held(count, policy)).when(EXPIRE, at=UNTIL)

    when.then(e.ReplicaOverrideExpired(at=UNTIL, desired_replica_count=desired))
    assert when.state.override is None
    assert when.state.target_replica_count == target


def test_an_override_is_void_in_destruction() -> None:
    destroyed = given(*held(5, h.POLICY)).when(c.DestroyDeployment(deployment_id=h.DEPLOYMENT))

    assert destroyed.state.override is None
