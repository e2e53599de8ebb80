from collections.abc import Mapping

import pytest

from domain.autoscaling.conditions import ScalingConditionType, scaling_conditions
from domain.autoscaling.decision import DecisionReason
from domain.autoscaling.engine import Evaluation
from domain.autoscaling.metric import MetricSource
from domain.autoscaling.outcome import Verdict
from domain.autoscaling.reasoning import Able, Active, Limited
from domain.autoscaling.rules import Comparator, ScalingRule, StepRule, TargetTrackingRule
from tests.domain.autoscaling.worlds import (
    NOW,
    after,
    asking_for,
    desired,
    evaluated,
    exactly,
    of_routes,
    of_whole,
    outcome,
    remembering,
)

BLIND = TargetTrackingRule(name="blind", source=MetricSource.KERNEL, metric="nothing", target=1)
UP = StepRule(
    name="up", source=MetricSource.KERNEL, metric="load", comparator=Comparator.GREATER_THAN, threshold=80, step=2
)
DOWN = StepRule(
    name="down", source=MetricSource.KERNEL, metric="load", comparator=Comparator.LESS_THAN, threshold=20, step=-2
)


def together(*wanted: int, current: int = 5, policy: Mapping[str, object] | None = None) -> Evaluation:
    """Evaluate rules that want so many replicas each."""
    rules = [exactly(count, name=f"r{number}") for number, count in enumerate(wanted)]
    return evaluated(*rules, current=current, samples=[asking_for(count) for count in wanted], policy=policy)


def loaded(
    load: float, *rules: ScalingRule, current: int = 5, policy: Mapping[str, object] | None = None
) -> Evaluation:
    """Evaluate with the same load on each of five replicas."""
    samples = [*of_routes([load] * 5), *(asking_for(count) for count in (3, 6))]
    return evaluated(*rules, current=5, samples=samples, policy=policy)


def test_the_highest_recommendation_wins_and_the_first_of_equals() -> None:
    assert desired(together(3, 7, 6)) == 7
    assert together(7, 7).reasoning.winner == "r0"


def test_a_rule_that_cannot_tell_blocks_only_removing() -> None:
    assert desired(evaluated(BLIND, exactly(7), current=5, samples=[asking_for(7)])) == 7
    down = evaluated(BLIND, exactly(3), current=5, samples=[asking_for(3)])
    assert (down.desired, down.reason, down.reasoning.active) == (
        5,
        DecisionReason.NO_METRICS,
        Active.NO_REPLICA_METRIC,
    )


def test_where_no_rule_can_tell_nothing_changes_and_nothing_is_recommended() -> None:
    evaluation = evaluated(BLIND, current=5)

    assert (evaluation.desired, evaluation.reason, evaluation.due_at) == (5, DecisionReason.NO_METRICS, None)
    assert evaluation.history.highs == ()


def test_a_step_rule_that_has_nothing_to_do_leaves_it_to_the_others() -> None:
    assert desired(loaded(50, UP, exactly(3))) == 3


def test_with_safest_a_step_rule_that_has_nothing_to_do_holds_the_count() -> None:
    evaluation = loaded(50, UP, exactly(3), policy={"combine": "safest"})

    assert (evaluation.desired, evaluation.reason) == (5, DecisionReason.UNCHANGED)
    assert desired(loaded(50, UP, exactly(6), policy={"combine": "safest"})) == 6


def test_step_rules_in_opposite_directions_do_not_hold_each_other() -> None:
    for policy in ({"combine": "max"}, {"combine": "safest"}):
        assert desired(loaded(10, UP, DOWN, policy=policy)) == 3
        assert desired(loaded(90, UP, DOWN, policy=policy)) == 7


def test_a_step_rule_without_samples_blocks_removing_by_another_one_and_not_adding() -> None:
    blind = UP.model_copy(update={"name": "blind", "metric": "nothing"})

    down = loaded(10, blind, DOWN)

    assert (down.desired, down.reason) == (5, DecisionReason.NO_METRICS)
    assert loaded(90, blind, UP).desired == 7


def test_step_rules_none_of_which_can_tell_block_removing() -> None:
    blind = UP.model_copy(update={"metric": "nothing"})

    assert desired(loaded(10, blind, exactly(3))) == 5


def test_of_step_rules_the_one_with_the_highest_priority_acts() -> None:
    first = UP.model_copy(update={"name": "first", "step": 1})
    urgent = UP.model_copy(update={"name": "urgent", "step": 4, "priority": 1})

    evaluation = loaded(90, first, urgent)

    assert (evaluation.desired, evaluation.reasoning.winner) == (9, "urgent")
    assert [seen.verdict for seen in evaluation.reasoning.rules] == [Verdict.RECOMMENDS, Verdict.OUTRANKED]


def test_step_rules_of_one_priority_keep_their_order() -> None:
    rules = [UP.model_copy(update={"name": f"step-{size}", "step": size}) for size in (3, 1, 2)]

    assert loaded(90, *rules).reasoning.winner == "step-3"


def test_one_step_rule_with_two_thresholds_goes_both_ways() -> None:
    both = StepRule(
        name="both",
        source=MetricSource.KERNEL,
        metric="load",
        scale_up_threshold=80,
        scale_down_threshold=20,
        step=2,
    )

    assert [loaded(load, both).desired for load in (81, 80, 50, 20, 19)] == [7, 5, 5, 5, 3]


def test_a_query_answers_for_the_deployment_as_it_is() -> None:
    rule = UP.model_copy(update={"source": MetricSource.PROMETHEUS, "query": "sum(queue)"})
    sample = of_whole(90, source=MetricSource.PROMETHEUS)

    assert desired(evaluated(rule, current=5, samples=[sample])) == 7


def test_a_query_that_answers_by_route_counts_with_the_mean_of_the_routes() -> None:
    rule = UP.model_copy(update={"source": MetricSource.PROMETHEUS, "query": "queue"})
    samples = [s.model_copy(update={"source": MetricSource.PROMETHEUS}) for s in of_routes([70, 100, None, None, None])]

    evaluation = evaluated(rule, current=5, samples=samples)

    assert (evaluation.desired, outcome(evaluation).value, outcome(evaluation).missing) == (7, 85, 3)


@pytest.mark.parametrize(
    ("pause", "up", "down"), [("none", 7, 3), ("scale-in", 7, 5), ("scale-out", 5, 3), ("all", 5, 5)]
)
def test_a_pause_holds_the_count_in_its_direction(pause: str, up: int, down: int) -> None:
    assert desired(together(7, policy={"pause": pause})) == up
    assert desired(together(3, policy={"pause": pause})) == down


def test_a_paused_change_is_recorded_as_such_and_remembered() -> None:
    evaluation = together(7, policy={"pause": "all"})

    assert (evaluation.reason, evaluation.reasoning.able) == (DecisionReason.PAUSED, Able.PAUSED)
    assert (evaluation.reasoning.limited_to, evaluation.history.changes) == (7, ())
    assert evaluation.history.highs[-1].replicas == 7


def test_a_step_rule_that_changed_nothing_does_not_begin_its_cooldown() -> None:
    acts, paused = loaded(90, UP), loaded(90, UP, policy={"pause": "all"})

    assert acts.decision().evaluation is not None
    assert (paused.reasoning.winner, paused.decision().evaluation) == ("up", None)


def test_a_pause_holds_against_the_bounds_too() -> None:
    assert desired(together(5, current=5, policy={"pause": "scale-in", "max_replicas": 3})) == 5
    assert desired(together(5, current=5, policy={"pause": "scale-in", "min_replicas": 6})) == 6


def test_a_count_outside_the_bounds_comes_inside_without_any_metric() -> None:
    evaluation = evaluated(BLIND, current=9, policy={"max_replicas": 6})

    assert (evaluation.desired, evaluation.reason) == (6, DecisionReason.BOUNDS)
    assert evaluation.reasoning.limited is Limited.TOO_MANY


def test_an_override_holds_against_every_rule_and_bound() -> None:
    evaluation = evaluated(exactly(9), current=5, samples=[asking_for(9)], override=20, policy={"max_replicas": 10})

    assert (evaluation.desired, evaluation.reason) == (20, DecisionReason.OVERRIDDEN)


def test_without_rules_the_number_set_by_hand_counts() -> None:
    assert (evaluated(current=5, baseline=3).desired, evaluated(current=5).desired) == (3, 5)


def test_conditions_say_what_hpa_would_say() -> None:
    held = evaluated(exactly(3), current=5, samples=[asking_for(3)], history=remembering([(10, 5)]))

    conditions = {c.type: (c.status, c.reason) for c in scaling_conditions(held.reasoning, held.desired)}

    assert conditions == {
        ScalingConditionType.ABLE_TO_SCALE: (True, "ScaleDownStabilized"),
        ScalingConditionType.SCALING_ACTIVE: (True, "ValidMetricFound"),
        ScalingConditionType.SCALING_LIMITED: (False, "DesiredWithinRange"),
        ScalingConditionType.SCALED_TO_ZERO: (False, "NotAtZero"),
    }


def test_every_condition_has_words_for_every_reason() -> None:
    for evaluation in (
        together(3),
        together(99, policy={"max_replicas": 6}),
        evaluated(BLIND, current=0, stopped=True),
    ):
        conditions = scaling_conditions(evaluation.reasoning, evaluation.desired)

        assert [c.type for c in conditions if not c.reason] == []


def test_the_reason_of_doing_nothing_is_news_only_when_it_changes() -> None:
    held = remembering([(10, 5)])
    first = evaluated(exactly(3), current=5, samples=[asking_for(3)], history=held)
    again = evaluated(exactly(3), current=5, samples=[asking_for(3, after(5))], history=first.history, now=after(5))
    blind = evaluated(exactly(3), current=5, history=again.history, now=NOW)

    assert first.reason_key == again.reason_key != blind.reason_key


def test_an_outcome_names_few_routes_however_many_are_missing() -> None:
    evaluation = evaluated(UP, current=50, samples=of_routes([90.0]))

    assert (outcome(evaluation).missing, len(outcome(evaluation).missing_routes)) == (49, 10)
