"""What became of a deployment between two moments, read off its events."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from domain import events as e
from domain.autoscaling.rules import ScalingPolicy
from domain.deployment import Deployment
from domain.evolve import evolve
from domain.recorded import LoggedEvent, SystemEvent
from service.cli.explanation import in_one_line
from service.cli.moments import shown
from service.cli.rule_words import describe_rule
from service.cli.scaling_words import describe_bounds, describe_pause, replicas

#: What stands where there is nothing.
_NOTHING: Final = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Something about a deployment that is not as it was."""

    what: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionBetween:
    """A decision of autoscaling in one line."""

    position: int
    at: datetime
    previous: int
    desired: int
    explanation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A deployment before and after: what changed, the routes that came and went, the decisions and events between.

    A route that came and went is in both lists. ``decisions`` are at most so many as were asked for, the newest.
    """

    deployment_id: UUID
    name: str
    is_new: bool
    events: int
    changes: Sequence[Change]
    routes_come: Sequence[UUID]
    routes_gone: Sequence[UUID]
    decisions: Sequence[DecisionBetween]
    decisions_left_out: int


def difference_of(events: Iterable[LoggedEvent], *, after: int, until: int, decisions: int) -> Difference | None:
    """What the events behind position ``after`` up to ``until`` made of a deployment; ``None`` if there are none."""
    before: Deployment | None = None
    state: Deployment | None = None
    between = []
    come: dict[UUID, None] = {}
    for logged in events:
        event = logged.recorded.event
        if isinstance(event, SystemEvent) or logged.position > until:
            continue
        state = evolve(state, event)
        if logged.position <= after:
            before = state
            continue
        between.append((logged, event))
        if isinstance(event, e.ScaledOut):
            come |= dict.fromkeys(event.route_ids)
    if state is None or not between:
        return None
    decided = [(logged, event) for logged, event in between if isinstance(event, e.DesiredReplicasCalculated)]
    there = (before.routes.keys() if before else set()) | come.keys()
    return Difference(
        deployment_id=state.id,
        name=state.name,
        is_new=before is None,
        events=len(between),
        changes=list(_changes(before, state)),
        routes_come=list(come),
        routes_gone=sorted(there - state.routes.keys()),
        decisions=[
            DecisionBetween(
                position=logged.position,
                at=event.at,
                previous=event.decision.previous,
                desired=event.decision.desired,
                explanation=in_one_line(event.decision),
            )
            for logged, event in decided[len(decided) - min(decisions, len(decided)) :]
        ],
        decisions_left_out=max(0, len(decided) - decisions),
    )


def _changes(before: Deployment | None, after: Deployment) -> Iterable[Change]:
    then, now = ({} if before is None else _aspects(before)), _aspects(after)
    for what in dict.fromkeys([*then, *now]):
        if then.get(what, _NOTHING) != now.get(what, _NOTHING):
            yield Change(what=what, before=then.get(what, _NOTHING), after=now.get(what, _NOTHING))


def _aspects(state: Deployment) -> dict[str, str]:
    """A deployment as words by what they are about; each rule is an aspect of its own."""
    spec, override, revision = state.replica_spec, state.override, state.target_revision
    until = (shown(override.until) if override.until else "told otherwise") if override else ""
    return {
        "lifecycle": state.lifecycle.value,
        "desired replicas": str(state.target_replica_count),
        "active replicas": str(state.active_count),
        "healthy replicas": str(state.healthy_count),
        "replicas set by hand": str(spec.replica_count),
        "held": f"at {replicas(override.replica_count)} until {until}" if override else _NOTHING,
        "endpoint": state.endpoint.url or _NOTHING,
        "revision": f"{revision.revision_id}: {revision.model} in {revision.image}" if revision else _NOTHING,
        "pause": describe_pause(state.effective_pause),
        "failed starts in a row": str(state.start_failures),
        "open failures": ", ".join(f"{each.value}: {why.code}" for each, why in state.failures.items()) or _NOTHING,
        **_policy(state.scaling_policy),
    }


def _policy(policy: ScalingPolicy) -> dict[str, str]:
    rest = policy.model_dump(mode="json", exclude={"rules", "min_replicas", "max_replicas", "pause"})
    return {
        "bounds": describe_bounds(policy.min_replicas, policy.max_replicas),
        **{f"policy's {name}": str(value) for name, value in rest.items()},
        **{f"rule {rule.name}": describe_rule(rule) for rule in policy.rules},
    }
