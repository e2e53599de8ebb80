import pytest

from domain import commands as c
from domain import events as e
from domain.autoscaling.decision import DecisionReason, ScalingDecision
from domain.autoscaling.rules import Pause, ScalingPolicy
from domain.errors import RejectionCode
from domain.evolve import replay
from tests.domain import histories as h
from tests.domain.scenario import NOW, given


def pause(what: Pause) -> c.PauseScaling:
    return c.PauseScaling(deployment_id=h.DEPLOYMENT, pause=what)


def test_a_pause_holds_until_another_takes_its_place() -> None:
    paused = given(*h.READY).when(pause(Pause.SCALE_IN))

    paused.then(e.ScalingPauseSet(at=NOW, pause=Pause.SCALE_IN))
    assert paused.state.scaling_pause is Pause.SCALE_IN
    assert paused.and_when(pause(Pause.NONE)).state.effective_pause is Pause.NONE


def test_the_same_pause_again_has_no_effect() -> None:
    given(*h.READY).when(pause(Pause.ALL)).and_when(pause(Pause.ALL)).then_events(e.CommandHadNoEffect)


def test_a_pause_is_a_change_of_what_is_asked_of_the_deployment() -> None:
    """Else what waits for a failed try would go on waiting, though the pause may have ended what it waits for."""
    paused = given(*h.READY).when(pause(Pause.ALL)).state

    assert paused.intent_version == paused.version


@pytest.mark.parametrize("by_policy", Pause)
@pytest.mark.parametrize("by_command", Pause)
def test_what_either_pauses_is_paused(by_policy: Pause, by_command: Pause) -> None:
    policy = e.ScalingPolicySet(at=NOW, policy=ScalingPolicy(pause=by_policy))

    def stops(what: Pause) -> bool:
        return bool({by_policy, by_command} & {what, Pause.ALL})

    state = replay((*h.READY, policy, e.ScalingPauseSet(at=NOW, pause=by_command)))
    expected = {
        (False, False): Pause.NONE,
        (True, False): Pause.SCALE_IN,
        (False, True): Pause.SCALE_OUT,
        (True, True): Pause.ALL,
    }
    assert state is not None
    assert state.effective_pause is expected[stops(Pause.SCALE_IN), stops(Pause.SCALE_OUT)]


def test_a_new_policy_leaves_the_pause_as_it_is() -> None:
    paused = given(*h.READY, e.ScalingPauseSet(at=h.EARLIER, pause=Pause.SCALE_IN))

    when = paused.when(c.SetScalingPolicy(deployment_id=h.DEPLOYMENT, policy=h.POLICY))

    assert when.state.effective_pause is Pause.SCALE_IN


@pytest.mark.parametrize(
    ("history", "code"), [(h.DESTROYING, RejectionCode.BEING_DESTROYED), (h.DESTROYED, RejectionCode.DESTROYED)]
)
def test_a_deployment_that_ends_has_nothing_to_pause(history: h.History, code: RejectionCode) -> None:
    given(*history).when(pause(Pause.ALL)).then_rejected(code)


@pytest.mark.parametrize(("what", "target"), [(Pause.SCALE_IN, 2), (Pause.ALL, 2), (Pause.SCALE_OUT, 1)])
def test_a_new_policy_moves_the_count_only_where_the_pause_lets_it(what: Pause, target: int) -> None:
    paused = given(*h.READY, e.ScalingPauseSet(at=h.EARLIER, pause=what))
    policy = ScalingPolicy(rules=(h.BUSY,), max_replicas=1)

    when = paused.when(c.SetScalingPolicy(deployment_id=h.DEPLOYMENT, policy=policy))

    assert when.state.target_replica_count == target


def test_without_rules_the_count_is_brought_inside_the_bounds_during_a_pause_too() -> None:
    """Nobody would do it once the pause is over."""
    paused = given(*h.READY, e.ScalingPauseSet(at=h.EARLIER, pause=Pause.ALL))

    when = paused.when(c.SetScalingPolicy(deployment_id=h.DEPLOYMENT, policy=ScalingPolicy(max_replicas=1)))

    assert when.state.target_replica_count == 1


@pytest.mark.parametrize(("what", "wanted"), [(Pause.ALL, 3), (Pause.SCALE_OUT, 3), (Pause.SCALE_IN, 1)])
def test_a_decision_that_a_pause_has_overtaken_is_given_up(what: Pause, wanted: int) -> None:
    policy = e.ScalingPolicySet(at=h.EARLIER, policy=h.POLICY)
    decision = ScalingDecision(previous=2, desired=wanted, reason=DecisionReason.RULE)

    given(*h.READY, policy, e.ScalingPauseSet(at=h.EARLIER, pause=what)).when(
        c.RecordDesiredReplicas(deployment_id=h.DEPLOYMENT, decision=decision)
    ).then_rejected(RejectionCode.CHANGED_MEANWHILE)
