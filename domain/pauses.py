"""Pauses: whose effects are held back, by whom and why. Commands, events and state, decided without time or I/O.

A pause holds back what changes the world outside (calls to app proxies, making and terminating routes) and the
evaluation of scaling rules. What is asked and what is reported is recorded all the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, ClassVar, Final, Literal, assert_never
from uuid import UUID

from pydantic import Field

from domain.deployment import Deployment
from domain.message import Explanation, Message, Moment, Name

#: The id under which pauses are asked for, and of the stream that holds them.
PAUSES_ID: Final = UUID("5a5e0000-7061-5573-8573-000000000001")


class Everything(Message):
    """All deployments."""

    kind: Literal["everything"] = "everything"


class ResourceGroup(Message):
    """The deployments of one resource group."""

    kind: Literal["resource-group"] = "resource-group"
    resource_group: Name


class SingleDeployment(Message):
    """One deployment."""

    kind: Literal["deployment"] = "deployment"
    deployment_id: UUID


#: Whose effects a pause holds back.
Scope = Annotated[Everything | ResourceGroup | SingleDeployment, Field(discriminator="kind")]


class PauseEffects(Message):
    """Hold back the effects of a scope; where it is paused already, nothing changes."""

    scope: Scope
    reason: Explanation = ""


class ResumeEffects(Message):
    """Lift the pause of exactly this scope; pauses of other scopes stand."""

    scope: Scope
    reason: Explanation = ""


class EffectsPaused(Message):
    """The effects of a scope are held back from now on; ``actor`` wanted it, by the sender's own account."""

    name: ClassVar[str] = "control.effects-paused.v1"
    at: Moment
    scope: Scope
    reason: Explanation
    actor: str


class EffectsResumed(Message):
    """The pause of a scope is over; ``actor`` wanted it, by the sender's own account."""

    name: ClassVar[str] = "control.effects-resumed.v1"
    at: Moment
    scope: Scope
    reason: Explanation
    actor: str


PauseCommand = PauseEffects | ResumeEffects
PauseEvent = EffectsPaused | EffectsResumed


@dataclass(frozen=True, slots=True)
class Pauses:
    """The pauses that stand after ``version`` events, each with the event that began it."""

    version: int = 0
    standing: Mapping[Scope, EffectsPaused] = field(default_factory=dict)

    def over(self, deployment: Deployment) -> Sequence[EffectsPaused]:
        """The pauses that hold back this deployment's effects, the widest first."""
        scopes = (
            Everything(),
            ResourceGroup(resource_group=deployment.resource_group),
            SingleDeployment(deployment_id=deployment.id),
        )
        return [self.standing[scope] for scope in scopes if scope in self.standing]


def decide_pause(state: Pauses, command: PauseCommand, *, now: datetime, actor: str) -> Sequence[PauseEvent]:
    """Give the events that ``command`` leads to: none where all is as it asks."""
    match command:
        case PauseEffects():
            if command.scope in state.standing:
                return []
            return [EffectsPaused(at=now, scope=command.scope, reason=command.reason, actor=actor)]
        case ResumeEffects():
            if command.scope not in state.standing:
                return []
            return [EffectsResumed(at=now, scope=command.scope, reason=command.reason, actor=actor)]
        case _:
            assert_never(command)


def evolve_pauses(state: Pauses, event: PauseEvent) -> Pauses:
    """Give the pauses after ``event``."""
    others = {scope: pause for scope, pause in state.standing.items() if scope != event.scope}
    match event:
        case EffectsPaused():
            return Pauses(state.version + 1, {**others, event.scope: event})
        case EffectsResumed():
            return Pauses(state.version + 1, others)
        case _:
            assert_never(event)
