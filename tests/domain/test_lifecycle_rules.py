from typing import get_args
from uuid import UUID

from domain import events as e
from domain.deployment import Deployment, Lifecycle
from domain.evolve import evolve
from domain.lifecycle import ALLOWED, lifecycle_after, may_happen
from domain.recorded import SystemEvent
from tests.histories import random_history


def test_every_event_has_its_place() -> None:
    assert set(ALLOWED) == set(get_args(e.DeploymentEvent))


def test_what_the_domain_decides_is_allowed_and_leads_where_folding_leads() -> None:
    for seed in range(4):
        states: dict[UUID, Deployment] = {}
        for logged in random_history(seed, steps=1500, deployments=30).log:
            event, stream = logged.recorded.event, logged.recorded.stream_id
            if isinstance(event, SystemEvent):
                continue
            before = states.get(stream)
            stands = before.lifecycle if before else None
            assert may_happen(stands, event), (stands, event.name)
            states[stream] = evolve(before, event)
            assert lifecycle_after(stands, event) is states[stream].lifecycle


def test_after_the_end_nothing_may_happen() -> None:
    assert not [each for each, where in ALLOWED.items() if Lifecycle.DESTROYED in where]
