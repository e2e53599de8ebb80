"""Why a deployment has the replicas that it has, read off its events: the last decision, and what came before it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from domain import events as e
from domain.autoscaling.conditions import ScalingConditionType, scaling_conditions
from domain.autoscaling.decision import DecisionReason, ScalingDecision
from domain.autoscaling.explain import explain
from domain.autoscaling.reasoning import Reasoning
from domain.conditions import ConditionStatus
from domain.deployment import Deployment
from domain.evolve import replay
from domain.operations import Operation
from domain.recorded import LoggedEvent, OperationCause, RecordCause, SystemEvent
from projections.deployments import ScalingConditionRow
from service.cli.moments import shown
from service.cli.scaling_words import describe_decision, replicas
from service.cli.words import describe_event

#: What else changes the number of replicas that is wanted, or what the rules may do about it.
_BESIDES: Final = (
    e.ReplicaCountSet,
    e.ScalingPolicySet,
    e.ScalingPauseSet,
    e.ReplicasOverridden,
    e.ReplicaOverrideExpired,
    e.DesiredReplicasCalculationFailed,
    e.DestructionRequested,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PastDecision:
    """A decision as it is listed."""

    position: int
    event_id: str
    at: datetime
    previous: int
    desired: int
    reason: DecisionReason
    explanation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedDecision(PastDecision):
    """The decision that is explained.

    ``missing_routes`` had no sample, ``unready_routes`` were not ready; ``due_at`` is when it may come out differently
    by itself, as far as that is known.
    """

    conditions: Sequence[ScalingConditionRow]
    missing_routes: Sequence[UUID]
    unready_routes: Sequence[UUID]
    watermark: datetime | None
    due_at: datetime | None
    cause: RecordCause | OperationCause
    reasoning: Reasoning | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Afterwards:
    """What happened after the decision to the number of replicas that is wanted."""

    position: int
    at: datetime
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What is known; without a ``decision`` a ``sentence`` says why there is none. ``earlier`` is newest first."""

    deployment_id: UUID
    name: str
    target_replica_count: int
    decision: ExplainedDecision | None
    sentence: str
    afterwards: Sequence[Afterwards]
    earlier: Sequence[PastDecision]
    left_out: int


def explanation_of(events: Sequence[LoggedEvent], *, limit: int) -> Explanation | None:
    """Explain the last of a deployment's ``events``, with at most ``limit`` earlier decisions; ``None`` without any."""
    happened = [(logged, event) for logged in events if not isinstance(event := logged.recorded.event, SystemEvent)]
    state = replay(event for _, event in happened)
    if state is None:
        return None
    decided = [(logged, event.decision) for logged, event in happened if isinstance(event, e.DesiredReplicasCalculated)]
    before, last = decided[:-1], decided[-1] if decided else None
    since = last[0].position if last else 0
    return Explanation(
        deployment_id=state.id,
        name=state.name,
        target_replica_count=state.target_replica_count,
        decision=_explained(*last, conditions_after(decided)) if last else None,
        sentence="" if last else _none_yet(state),
        afterwards=[
            Afterwards(position=logged.position, at=event.at, description=describe_event(event))
            for logged, event in happened
            if last and logged.position > since and isinstance(event, _BESIDES)
        ],
        earlier=[PastDecision(**_in_short(*each)) for each in reversed(before)][:limit],
        left_out=max(0, len(before) - limit),
    )


def in_one_line(decision: ScalingDecision) -> str:
    """Say what was decided and why: ``7 → 9: rule latency: …``."""
    return explain(decision) if decision.reasoning else describe_decision(decision)


def conditions_after(decided: Sequence[tuple[LoggedEvent, ScalingDecision]]) -> Sequence[ScalingConditionRow]:
    """The conditions after these decisions, each since its status is what it is."""
    known: Mapping[ScalingConditionType, ScalingConditionRow] = {}
    for logged, decision in decided:
        if decision.reasoning is None:
            continue
        now = {}
        for each in scaling_conditions(decision.reasoning, decision.desired):
            status = ConditionStatus.TRUE if each.status else ConditionStatus.FALSE
            before = known.get(each.type)
            same = before is not None and before.status is status
            now[each.type] = ScalingConditionRow(
                type=each.type,
                status=status,
                reason=each.reason,
                message=each.message,
                last_transition_time=before.last_transition_time if before and same else logged.recorded.event.at,
            )
        known = now
    return list(known.values())


def _explained(
    logged: LoggedEvent, decision: ScalingDecision, conditions: Sequence[ScalingConditionRow]
) -> ExplainedDecision:
    why, recorded = decision.reasoning, logged.recorded
    outcomes = why.rules if why else ()
    due_at = why.due_at if why else None
    watermark = decision.evaluation.watermark if decision.evaluation else None
    return ExplainedDecision(
        **_in_short(logged, decision),
        conditions=conditions if why else (),
        missing_routes=sorted({route for outcome in outcomes for route in outcome.missing_routes}),
        unready_routes=sorted({route for outcome in outcomes for route in outcome.unready_routes}),
        watermark=why.watermark if why else watermark,
        due_at=due_at if due_at and due_at > recorded.event.at else None,
        cause=recorded.cause,
        reasoning=why,
    )


def _in_short(logged: LoggedEvent, decision: ScalingDecision) -> dict[str, Any]:
    return {
        "position": logged.position,
        "event_id": logged.recorded.event_id,
        "at": logged.recorded.event.at,
        "previous": decision.previous,
        "desired": decision.desired,
        "reason": decision.reason,
        "explanation": in_one_line(decision),
    }


def _none_yet(state: Deployment) -> str:
    """Say why autoscaling has not decided anything."""
    so = f"no scaling decision yet: {replicas(state.target_replica_count)} wanted"
    if state.lifecycle.is_ending:
        return f"{so}, and the deployment is {state.lifecycle.value}"
    if state.override is not None:
        until = f"until {shown(state.override.until)} UTC" if state.override.until else "until told otherwise"
        return f"{so}, held by hand {until}, which suspends the rules"
    policy = state.scaling_policy
    if not policy.rules:
        return f"{so}, set by hand, because the scaling policy has no rules"
    if failure := state.failures.get(Operation.CALCULATE):
        return f"{so}; calculating failed: {failure.reason}"
    names = ", ".join(rule.name for rule in policy.rules)
    return f"{so}; no samples have come yet that give {names} a reason to change that"
