"""Read model: every number of replicas that autoscaling came to, with the arithmetic that led to it."""

from datetime import datetime
from typing import Final
from uuid import UUID

from pydantic import Json, TypeAdapter
from sqlalchemy import BigInteger, Column, Connection, Double, Index, Table, or_, select

from domain.autoscaling.decision import DecisionReason
from domain.autoscaling.explain import explain
from domain.autoscaling.reasoning import Able, Active, Limited, Reasoning
from domain.autoscaling.rules import Comparator, MetricSource
from domain.events import DesiredReplicasCalculated
from domain.recorded import LoggedEvent
from projections.columns import count, instant, word
from projections.querying import DEFAULT_LIMIT, ViewRow, fetch
from projections.rows import Rows
from projections.time_series import TimeSeries, superseded
from projections.view import METADATA, View

_REASONING: Final = TypeAdapter(Reasoning)

AUTOSCALING_DECISIONS = Table(
    "autoscaling_decisions",
    METADATA,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    word("deployment_id"),
    instant("at"),
    count("previous"),
    count("desired"),
    word("reason"),
    # The decision in one line, with its numbers.
    word("explanation"),
    # What follows is there where the engine went through the rules; the first three are the reasons of conditions.
    word("able", nullable=True),
    word("active", nullable=True),
    word("limited", nullable=True),
    word("winner", nullable=True),
    word("reasoning", nullable=True),
    # What follows is there when a step rule decided.
    word("rule", nullable=True),
    word("source", nullable=True),
    word("metric_name", nullable=True),
    Column("metric", Double),
    count("samples", nullable=True),
    instant("watermark", nullable=True),
    word("comparator", nullable=True),
    Column("threshold", Double),
    count("unclamped", nullable=True),
    count("proposed", nullable=True),
    Index("ix_autoscaling_decisions_deployment_id", "deployment_id", "position"),
)


class AutoscalingDecisionRow(ViewRow):
    """From ``previous`` to ``desired`` replicas, which ``explanation`` says in words.

    ``able``, ``active`` and ``limited`` are the reasons of the conditions AbleToScale, ScalingActive and
    ScalingLimited, ``winner`` is the rule whose recommendation counted, ``reasoning`` the whole chain; they are there
    where the engine went through the rules. With a step ``rule``, ``metric COMPARATOR threshold`` held.

    ``samples`` counts what ``metric`` was aggregated from, ``watermark`` is the newest of their times, ``unclamped``
    what the rule came to before its bounds, ``proposed`` after them.
    """

    position: int
    deployment_id: UUID
    at: datetime
    previous: int
    desired: int
    reason: DecisionReason
    explanation: str
    able: Able | None
    active: Active | None
    limited: Limited | None
    winner: str | None
    reasoning: Json[Reasoning] | None
    rule: str | None
    source: MetricSource | None
    metric_name: str | None
    metric: float | None
    samples: int | None
    watermark: datetime | None
    comparator: Comparator | None
    threshold: float | None
    unclamped: int | None
    proposed: int | None


def _fold(rows: Rows, logged: LoggedEvent) -> None:
    event = logged.recorded.event
    if not isinstance(event, DesiredReplicasCalculated):
        return
    decision = event.decision
    evaluation, why = decision.evaluation, decision.reasoning
    rows.of(AUTOSCALING_DECISIONS).append(
        {
            "position": logged.position,
            "deployment_id": str(logged.recorded.stream_id),
            "at": event.at,
            "previous": decision.previous,
            "desired": decision.desired,
            "reason": decision.reason.value,
            "explanation": explain(decision),
            "able": why and why.able.value,
            "active": why and why.active.value,
            "limited": why and why.limited.value,
            "winner": why and why.winner,
            "reasoning": why and _REASONING.dump_json(why, exclude_defaults=True).decode(),
            "rule": evaluation and evaluation.rule,
            "source": evaluation and evaluation.source.value,
            "metric_name": evaluation and evaluation.metric_name,
            "metric": evaluation and evaluation.metric,
            "samples": evaluation and evaluation.samples,
            "watermark": evaluation and evaluation.watermark,
            "comparator": evaluation and evaluation.comparator.value,
            "threshold": evaluation and evaluation.threshold,
            "unclamped": evaluation and evaluation.unclamped,
            "proposed": evaluation and evaluation.proposed,
        }
    )


AUTOSCALING_DECISIONS_VIEW = View(
    name="autoscaling_decisions",
    version=2,
    tables=(AUTOSCALING_DECISIONS,),
    handles=frozenset({DesiredReplicasCalculated}),
    fold=_fold,
    # The last decision before the horizon stays: it is why a deployment has the replicas that it has.
    series=(TimeSeries(table=AUTOSCALING_DECISIONS, outdated=superseded),),
)


def find_decisions(
    connection: Connection,
    *,
    deployment_id: UUID | None = None,
    rule: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = DEFAULT_LIMIT,
) -> list[AutoscalingDecisionRow]:
    """The last ``limit`` decisions from ``since`` to ``until`` inclusive, newest first."""
    table = AUTOSCALING_DECISIONS.c
    query = select(AUTOSCALING_DECISIONS)
    if deployment_id is not None:
        query = query.where(table.deployment_id == str(deployment_id))
    if rule is not None:
        query = query.where(or_(table.rule == rule, table.winner == rule))
    if since is not None:
        query = query.where(table.at >= since)
    if until is not None:
        query = query.where(table.at <= until)
    return fetch(connection, query.order_by(table.position.desc()).limit(limit), AutoscalingDecisionRow)
