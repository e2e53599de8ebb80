from sqlalchemy import Engine

from domain.autoscaling.decision import DecisionReason, RuleEvaluation, ScalingDecision
from domain.autoscaling.outcome import Measure, RuleOutcome, Verdict
from domain.autoscaling.reasoning import Able, Active, Limited, Reasoning
from domain.autoscaling.rules import Comparator, MetricSource
from domain.events import DesiredReplicasCalculated
from projections.autoscaling_decisions import AutoscalingDecisionRow, find_decisions
from tests.projection_support import CHAT, SEARCH, after, created, fold

EVALUATION = RuleEvaluation(
    rule="busy",
    source=MetricSource.KERNEL,
    metric_name="gpu_util",
    metric=0.1 + 0.2,
    samples=3,
    watermark=after(0.5),
    comparator=Comparator.GREATER_THAN,
    threshold=0.25,
    unclamped=-1,
    proposed=4,
)


def decided(desired: int, seconds: float, evaluation: RuleEvaluation | None = None) -> DesiredReplicasCalculated:
    reason = DecisionReason.BOUNDS if evaluation is None else DecisionReason.RULE
    decision = ScalingDecision(previous=2, desired=desired, reason=reason, evaluation=evaluation)
    return DesiredReplicasCalculated(at=after(seconds), decision=decision)


def newest(engine: Engine) -> AutoscalingDecisionRow:
    with engine.connect() as connection:
        return find_decisions(connection)[0]


async def test_a_decision_of_a_rule_shows_its_arithmetic_to_the_last_digit(engine: Engine) -> None:
    await fold(engine, created(), decided(4, 1, EVALUATION))

    row = newest(engine)
    assert (row.position, row.deployment_id, row.at) == (20, CHAT, after(1))
    assert (row.previous, row.desired, row.reason) == (2, 4, DecisionReason.RULE)
    assert (row.rule, row.source, row.metric_name) == ("busy", MetricSource.KERNEL, "gpu_util")
    assert (row.metric, row.comparator, row.threshold) == (0.1 + 0.2, Comparator.GREATER_THAN, 0.25)
    assert (row.samples, row.watermark, row.unclamped, row.proposed) == (3, after(0.5), -1, 4)


async def test_a_decision_without_a_rule_shows_none(engine: Engine) -> None:
    await fold(engine, created(), decided(5, 1))

    row = newest(engine)
    assert (row.previous, row.desired, row.reason) == (2, 5, DecisionReason.BOUNDS)
    assert (row.rule, row.metric, row.threshold, row.watermark, row.proposed) == (None,) * 5
    assert (row.winner, row.able, row.active, row.limited, row.reasoning) == (None,) * 5
    assert row.explanation == "2 → 5: the number was outside the bounds"


async def test_a_decision_that_went_through_the_rules_shows_the_whole_chain(engine: Engine) -> None:
    outcome = RuleOutcome(
        rule="latency",
        kind="target-tracking",
        verdict=Verdict.RECOMMENDS,
        recommended=4,
        measure=Measure.TOTAL,
        value=412.0,
        target=300.0,
        ratio=412 / 300,
        unit="ms",
        missing_routes=(SEARCH,),
    )
    reasoning = Reasoning(
        rules=(outcome,), winner="latency", combined=4, limited_to=3, least=1, most=3, limited=Limited.TOO_MANY
    )
    decision = ScalingDecision(previous=2, desired=3, reason=DecisionReason.RULE, reasoning=reasoning)
    await fold(engine, created(), DesiredReplicasCalculated(at=after(1), decision=decision))

    row = newest(engine)
    assert row.explanation == "2 → 3: rule latency: total 412 ms / target 300 ms = 1.37 → 4; at most 3 → 3"
    assert (row.winner, row.able, row.active, row.limited) == ("latency", Able.READY, Active.VALID, Limited.TOO_MANY)
    assert row.reasoning == reasoning
    with engine.connect() as connection:
        assert find_decisions(connection, rule="latency") == [row]


async def test_decisions_are_found_by_deployment_rule_and_time_newest_first(engine: Engine) -> None:
    await fold(engine, created(), decided(5, 1), decided(4, 2, EVALUATION), decided(3, 3))

    with engine.connect() as connection:
        assert [row.desired for row in find_decisions(connection, deployment_id=CHAT)] == [3, 4, 5]
        assert [row.desired for row in find_decisions(connection, limit=1)] == [3]
        assert [row.desired for row in find_decisions(connection, rule="busy")] == [4]
        assert [row.desired for row in find_decisions(connection, since=after(2), until=after(2))] == [4]
        assert find_decisions(connection, deployment_id=SEARCH) == []
