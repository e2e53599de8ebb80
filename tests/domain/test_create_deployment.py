import pytest

from domain import commands as c
from domain import events as e
from domain.autoscaling.decision import DecisionReason, ScalingDecision
from domain.autoscaling.rules import ScalingPolicy
from domain.deployment import Lifecycle
from domain.errors import RejectionCode
from domain.revision import Revision
from tests.domain import histories as h
from tests.domain.scenario import NOW, given

COMPLETE = h.CREATE.model_copy(update={"target_revision": h.REVISION, "scaling_policy": h.POLICY})


def set_revision(revision: Revision) -> c.SetTargetRevision:
    return c.SetTargetRevision(deployment_id=h.DEPLOYMENT, revision=revision)


def test_a_new_deployment_is_pending_with_what_the_command_says() -> None:
    state = given().when(h.CREATE).state

    assert state.lifecycle is Lifecycle.PENDING
    assert (state.id, state.name, state.resource_group, state.domain) == (h.DEPLOYMENT, "llama", "gpu", "default")
    assert (state.project, state.owner, state.open_to_public) == (h.PROJECT, h.OWNER, False)
    assert (state.target_replica_count, state.version, state.created_at) == (2, 1, NOW)


def test_revision_and_policy_of_a_new_deployment_are_events_of_their_own() -> None:
    when = given().when(COMPLETE)

    when.then_events(e.DeploymentCreated, e.TargetRevisionSet, e.ScalingPolicySet)
    assert when.state.target_revision == h.REVISION
    assert when.state.scaling_policy == h.POLICY


def test_a_first_count_outside_the_policy_is_brought_inside_at_once() -> None:
    when = given().when(COMPLETE.model_copy(update={"replica_count": 12}))

    when.then_events(e.DeploymentCreated, e.TargetRevisionSet, e.ScalingPolicySet, e.DesiredReplicasCalculated)
    decision = ScalingDecision(previous=12, desired=10, reason=DecisionReason.BOUNDS)
    assert when.events[-1] == e.DesiredReplicasCalculated(at=NOW, decision=decision)
    assert when.state.target_replica_count == 10


def test_bounds_that_exclude_each_other_are_rejected_by_their_field() -> None:
    impossible = ScalingPolicy(min_replicas=3, max_replicas=2)

    when = given().when(h.CREATE.model_copy(update={"scaling_policy": impossible}))

    when.then_rejected(RejectionCode.INVALID_BOUNDS, "scaling_policy.min_replicas")


def test_the_same_content_again_has_no_effect_whatever_happened_since() -> None:
    first = given().when(COMPLETE)

    given(*first.events, *h.SCALING[2:]).when(COMPLETE).then_events(e.CommandHadNoEffect)


@pytest.mark.parametrize(
    "difference",
    [
        {"name": "mistral"},
        {"resource_group": "cpu"},
        {"owner": h.PROJECT},
        {"open_to_public": True},
        {"replica_count": 3},
        {"target_revision": h.OTHER_REVISION},
        {"target_revision": None},
        {"scaling_policy": h.POLICY.model_copy(update={"max_replicas": 11})},
    ],
    ids=str,
)
def test_other_content_under_the_same_id_is_rejected(difference: dict[str, object]) -> None:
    first = given().when(COMPLETE)

    again = first.and_when(COMPLETE.model_copy(update=difference))

    again.then_rejected(RejectionCode.ALREADY_EXISTS, "deployment_id")


def test_an_id_is_not_used_again_after_destruction() -> None:
    given(*h.DESTROYED).when(h.CREATE).then_rejected(RejectionCode.DESTROYED, "deployment_id")


def test_what_is_left_out_and_what_is_given_as_the_default_are_the_same_content() -> None:
    spelled_out = h.CREATE.model_validate({**h.CREATE.model_dump(mode="json"), "open_to_public": False})

    given().when(h.CREATE).and_when(spelled_out).then_events(e.CommandHadNoEffect)


def test_the_digest_of_a_command_is_the_same_for_ever() -> None:
    """The log keeps digests: another way to compute them would reject repeated creates of older deployments."""
    digest = "45e12672508ad86dec70845639cd88c484d1ee15c9aac2dd33f04ebec78030b4"

    [created, *_] = given().when(COMPLETE).events

    assert isinstance(created, e.DeploymentCreated)
    assert created.digest == digest


def test_the_first_revision_is_accepted() -> None:
    state = given(*h.PENDING).when(set_revision(h.REVISION)).state

    assert state.target_revision == h.REVISION


def test_the_same_revision_again_has_no_effect() -> None:
    given(*h.READY).when(set_revision(h.REVISION)).then_events(e.CommandHadNoEffect)


@pytest.mark.parametrize("history", [h.PENDING_WITH_REVISION, h.SCALING, h.READY])
@pytest.mark.parametrize(
    "revision", [h.OTHER_REVISION, h.REVISION.model_copy(update={"health_check": None})], ids=["id", "content"]
)
def test_a_different_revision_has_to_wait_for_rollouts(history: h.History, revision: Revision) -> None:
    when = given(*history).when(set_revision(revision))

    when.then_rejected(RejectionCode.ROLLOUT_NOT_SUPPORTED, "revision.revision_id")
