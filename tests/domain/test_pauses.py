"""Pauses: decided once, standing until lifted by exactly their scope, and over the deployments that they name."""

from collections.abc import Sequence
from uuid import UUID

import pytest

from domain.evolve import replay
from domain.pauses import (
    EffectsPaused,
    EffectsResumed,
    Everything,
    PauseCommand,
    PauseEffects,
    PauseEvent,
    Pauses,
    ResourceGroup,
    ResumeEffects,
    Scope,
    SingleDeployment,
    decide_pause,
    evolve_pauses,
)
from tests.domain import histories as h
from tests.domain.scenario import NOW

OTHER = UUID(int=99)
STATE = replay(h.READY)
GROUP = ResourceGroup(resource_group=STATE.resource_group if STATE else "")
OWN = SingleDeployment(deployment_id=h.DEPLOYMENT)
SCOPES: Sequence[Scope] = (Everything(), GROUP, OWN)


def after(*commands: PauseCommand) -> Pauses:
    state = Pauses()
    for command in commands:
        for event in decide(state, command):
            state = evolve_pauses(state, event)
    return state


def decide(state: Pauses, command: PauseCommand) -> Sequence[PauseEvent]:
    return decide_pause(state, command, now=NOW, actor="alice")


@pytest.mark.parametrize("scope", SCOPES)
def test_a_pause_says_who_when_and_why(scope: Scope) -> None:
    events = decide(Pauses(), PauseEffects(scope=scope, reason="a new proxy"))

    assert events == [EffectsPaused(at=NOW, scope=scope, reason="a new proxy", actor="alice")]


@pytest.mark.parametrize("scope", SCOPES)
def test_what_is_so_already_leads_to_no_event(scope: Scope) -> None:
    paused = after(PauseEffects(scope=scope))

    assert decide(paused, PauseEffects(scope=scope, reason="again")) == []
    assert decide(Pauses(), ResumeEffects(scope=scope)) == []


@pytest.mark.parametrize("scope", SCOPES)
def test_a_pause_is_over_the_deployments_of_its_scope_until_it_is_lifted(scope: Scope) -> None:
    assert STATE is not None
    paused = after(PauseEffects(scope=scope))
    assert [pause.scope for pause in paused.over(STATE)] == [scope]

    resumed = after(PauseEffects(scope=scope), ResumeEffects(scope=scope, reason="done"))
    assert resumed.over(STATE) == []
    assert resumed.version == 2
    assert decide(paused, ResumeEffects(scope=scope)) == [EffectsResumed(at=NOW, scope=scope, reason="", actor="alice")]


@pytest.mark.parametrize(
    "scope", [ResourceGroup(resource_group="another"), SingleDeployment(deployment_id=OTHER)], ids=lambda s: s.kind
)
def test_a_pause_of_others_is_not_over_a_deployment(scope: Scope) -> None:
    assert STATE is not None
    assert after(PauseEffects(scope=scope)).over(STATE) == []


def test_resuming_everything_leaves_narrower_pauses_standing() -> None:
    assert STATE is not None
    state = after(PauseEffects(scope=OWN), PauseEffects(scope=Everything()), ResumeEffects(scope=Everything()))

    assert [pause.scope for pause in state.over(STATE)] == [OWN]
