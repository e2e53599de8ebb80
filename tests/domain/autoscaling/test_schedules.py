from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from domain.autoscaling.decision import DecisionReason
from domain.autoscaling.engine import Evaluation
from domain.autoscaling.outcome import Finding, Verdict
from domain.autoscaling.rules import ScheduleRule
from tests.domain.autoscaling.worlds import asking_for, desired, evaluated, exactly, outcome

DAY = ScheduleRule(name="day", time_zone="Europe/Berlin", start="0 8 * * *", end="0 20 * * *", floor=5)
NIGHT = ScheduleRule(name="night", time_zone="Europe/Berlin", start="0 22 * * *", end="0 6 * * *", ceiling=2)

#: 12:00, 21:00 and 23:00 in Berlin, in winter.
NOON = datetime(2026, 3, 2, 11, tzinfo=UTC)
EVENING = datetime(2026, 3, 2, 20, tzinfo=UTC)
LATE = datetime(2026, 3, 2, 22, tzinfo=UTC)


def at(now: datetime, *rules: ScheduleRule, current: int = 3, wanted: int = 3) -> Evaluation:
    """Evaluate schedules beside a rule that wants some replicas."""
    return evaluated(*rules, exactly(wanted), current=current, samples=[asking_for(wanted, now)], now=now)


def test_an_open_window_lifts_the_count_to_its_floor_at_once() -> None:
    evaluation = at(NOON, DAY)

    assert (evaluation.desired, evaluation.reason) == (5, DecisionReason.BOUNDS)
    assert evaluation.reasoning.winner == "day"


def test_a_closed_window_has_no_say() -> None:
    evaluation = at(EVENING, DAY)

    assert (evaluation.desired, evaluation.reason) == (3, DecisionReason.UNCHANGED)
    assert outcome(evaluation, -1).verdict is Verdict.CLOSED


def test_an_open_window_over_midnight_holds_the_count_below_its_ceiling() -> None:
    assert desired(at(LATE, NIGHT)) == 2


def test_rules_move_the_count_within_the_window() -> None:
    assert desired(at(NOON, DAY, current=6, wanted=8)) == 8
    assert desired(at(NOON, DAY, current=5, wanted=1)) == 5


def test_where_windows_overlap_the_highest_floor_and_the_highest_ceiling_count() -> None:
    lunch = ScheduleRule(
        name="lunch", time_zone="Europe/Berlin", start="0 11 * * *", end="0 14 * * *", floor=7, ceiling=9
    )
    tight = ScheduleRule(
        name="tight", time_zone="Europe/Berlin", start="0 10 * * *", end="0 13 * * *", floor=1, ceiling=4
    )

    assert desired(at(NOON, DAY, lunch, tight)) == 7
    assert desired(at(NOON, DAY, lunch, tight, current=8, wanted=50)) == 9


def test_a_floor_above_a_ceiling_wins() -> None:
    low = NIGHT.model_copy(update={"name": "low", "start": "0 7 * * *", "end": "0 21 * * *"})

    assert desired(at(NOON, DAY, low)) == 5
    assert desired(at(NOON, DAY, low, current=5, wanted=8)) == 5


def test_the_policy_bounds_a_floor() -> None:
    evaluation = evaluated(DAY, current=3, now=NOON, policy={"max_replicas": 4})

    assert evaluation.desired == 4


def test_without_other_rules_the_number_set_by_hand_counts_again_after_the_window() -> None:
    assert desired(evaluated(DAY, current=2, now=NOON, baseline=2)) == 5
    evaluation = evaluated(DAY, current=5, now=EVENING, baseline=2)
    assert (evaluation.desired, evaluation.reason) == (2, DecisionReason.MANUAL)


def test_an_evaluation_is_due_at_the_next_edge() -> None:
    assert evaluated(DAY, current=5, now=NOON).due_at == datetime(2026, 3, 2, 19, tzinfo=UTC)
    assert evaluated(DAY, current=5, now=EVENING).due_at == datetime(2026, 3, 3, 7, tzinfo=UTC)


def test_the_edges_themselves_belong_to_what_they_begin() -> None:
    opening, closing = datetime(2026, 3, 2, 7, tzinfo=UTC), datetime(2026, 3, 2, 19, tzinfo=UTC)

    assert outcome(evaluated(DAY, current=5, now=opening)).verdict is Verdict.OPEN
    assert outcome(evaluated(DAY, current=5, now=closing)).verdict is Verdict.CLOSED


def test_a_zone_that_is_not_known_here_is_a_finding_and_changes_nothing() -> None:
    lost = DAY.model_copy(update={"time_zone": "Atlantis/Capital"})

    evaluation = at(NOON, lost)

    assert evaluation.desired == 3
    assert outcome(evaluation, -1).finding is Finding.UNKNOWN_TIME_ZONE


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"start": "61 8 * * *"}, "minute '61'"),
        ({"end": "0 8 * * *"}, "starts and ends at the same times"),
        ({"floor": None}, "neither a floor nor a ceiling"),
        ({"floor": 5, "ceiling": 4}, "floor 5 above ceiling 4"),
        ({"time_zone": "../etc/passwd"}, "time_zone"),
    ],
)
def test_a_schedule_that_makes_no_sense_is_refused(wrong: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        ScheduleRule.model_validate({**DAY.model_dump(), **wrong})
