"""Events that are no deployment's, in words."""

from collections import Counter
from typing import assert_never

from domain.incarnations import IncarnationBegun
from domain.pauses import EffectsPaused, EffectsResumed, Everything, ResourceGroup, Scope, SingleDeployment
from domain.recorded import SystemEvent
from domain.rejections import RecordsRejected
from service.cli.scaling_words import number


def describe_system_event(event: SystemEvent) -> str:
    """Say what happened."""
    match event:
        case RecordsRejected():
            codes = Counter(record.code for record in event.records)
            listed = ", ".join(f"{count} {code}" for code, count in codes.most_common())
            return f"{number(len(event.records), 'record')} of {event.topic}/{event.partition} refused: {listed}"
        case EffectsPaused():
            return f"{describe_scope(event.scope)} paused{_by(event)}"
        case EffectsResumed():
            return f"{describe_scope(event.scope)} resumed{_by(event)}"
        case IncarnationBegun():
            return f"incarnation {event.incarnation} of the log begun after position {event.after_position}"
        case _:
            assert_never(event)


def describe_scope(scope: Scope) -> str:
    """Say whose effects are meant."""
    match scope:
        case Everything():
            return "everything"
        case ResourceGroup():
            return f"resource group {scope.resource_group}"
        case SingleDeployment():
            return f"deployment {scope.deployment_id}"
        case _:
            assert_never(scope)


def _by(event: EffectsPaused | EffectsResumed) -> str:
    by = f" by {event.actor}" if event.actor else ""
    return f"{by}: {event.reason}" if event.reason else by
