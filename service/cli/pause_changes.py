"""What was paused and resumed in a time, read off the stream of pauses."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import assert_never
from uuid import UUID

from domain.pauses import EffectsPaused, EffectsResumed, Everything, ResourceGroup, Scope, SingleDeployment
from domain.recorded import LoggedEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseChange:
    """From here on the effects of a scope were held back, or not any more by a pause of this scope."""

    position: int
    at: datetime
    is_paused: bool
    scope: Scope
    actor: str
    reason: str

    @property
    def in_words(self) -> str:
        """Who paused or resumed what, and why."""
        done = "paused" if self.is_paused else "resumed"
        by = f"{_name(self.scope)} {done} by {self.actor or 'somebody unnamed'}"
        return f"{by}: {self.reason}" if self.reason else by

    def holds_for(self, deployment: UUID, resource_group: str | None) -> bool:
        """Whether this is about a deployment, of that resource group."""
        match self.scope:
            case Everything():
                return True
            case ResourceGroup():
                return self.scope.resource_group == resource_group
            case SingleDeployment():
                return self.scope.deployment_id == deployment
            case _:
                assert_never(self.scope)


def pause_changes(events: Iterable[LoggedEvent], *, after: int, until: int) -> Sequence[PauseChange]:
    """What the events behind position ``after`` up to ``until`` paused and resumed, in order."""
    return [
        PauseChange(
            position=logged.position,
            at=event.at,
            is_paused=isinstance(event, EffectsPaused),
            scope=event.scope,
            actor=event.actor,
            reason=event.reason,
        )
        for logged in events
        if after < logged.position <= until
        and isinstance(event := logged.recorded.event, EffectsPaused | EffectsResumed)
    ]


def _name(scope: Scope) -> str:
    match scope:
        case Everything():
            return scope.kind
        case ResourceGroup():
            return f"{scope.kind} {scope.resource_group}"
        case SingleDeployment():
            return f"{scope.kind} {scope.deployment_id}"
        case _:
            assert_never(scope)
