import pytest

from domain import commands as c
from domain import events as e
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
