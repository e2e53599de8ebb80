"""Policies as they are sent and stored: old ones mean what they meant, new ones say everything in JSON."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from domain.autoscaling.behavior import DEFAULT_PACE, UNHINDERED, Behavior
from domain.autoscaling.metric import DEFAULT_MAX_SAMPLE_AGE, MetricSource
from domain.autoscaling.rules import Combine, Comparator, Pause, ScalingPolicy, StepRule, TargetTrackingRule
from domain.autoscaling.window import WindowLimits

DATA = Path(__file__).resolve().parents[2] / "data" / "autoscaling"

OLD = {
    "rules": [
        {
            "kind": "step",
            "name": "busy",
            "source": "kernel",
            "metric": "gpu_util",
            "comparator": "gt",
            "threshold": 80.0,
            "step": 1,
            "cooldown_seconds": 300.0,
            "min_replicas": 0,
            "max_replicas": 100000,
        }
    ],
    "min_replicas": 1,
    "max_replicas": 10,
}


def test_a_policy_of_the_first_release_reads_back_and_writes_out_byte_for_byte() -> None:
    text = json.dumps(OLD, separators=(",", ":"))

    assert ScalingPolicy.model_validate_json(text).model_dump_json() == text


def test_a_policy_of_the_first_release_means_what_it_meant() -> None:
    policy = ScalingPolicy.model_validate(OLD)

    [rule] = policy.rules
    assert isinstance(rule, StepRule)
    assert (rule.comparator, rule.threshold, rule.priority) == (Comparator.GREATER_THAN, 80.0, 0)
    assert rule.max_sample_age_seconds == DEFAULT_MAX_SAMPLE_AGE
    assert (policy.combine, policy.behavior, policy.pause) == (Combine.MAX, None, Pause.NONE)
    assert policy.pace == UNHINDERED


def test_a_rule_that_names_no_kind_is_a_step_rule_as_it_was() -> None:
    bare = {key: value for key, value in OLD["rules"][0].items() if key != "kind"}  # type: ignore[index] # plain JSON

    assert ScalingPolicy.model_validate({"rules": [bare]}).rules[0].kind == "step"


@pytest.mark.parametrize("path", sorted(DATA.glob("*.json")), ids=lambda path: path.stem)
def test_a_policy_stays_readable_in_the_words_it_was_first_written_in(path: Path) -> None:
    stored = json.loads(path.read_text(encoding="utf-8"))

    assert json.loads(ScalingPolicy.model_validate(stored).model_dump_json()) == stored


def test_there_is_a_stored_policy_with_every_kind_of_rule() -> None:
    stored = [json.loads(path.read_text(encoding="utf-8")) for path in DATA.glob("*.json")]

    assert {rule["kind"] for policy in stored for rule in policy["rules"]} == {
        "step",
        "target-tracking",
        "window-with-panic",
        "request-driven",
        "schedule",
        "scale-to-zero",
    }


STEP = OLD["rules"][0]  # type: ignore[index] # plain JSON
TRACKING = {"kind": "target-tracking", "name": "t", "source": "kernel", "metric": "m", "target": 5}


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"rules": [{**STEP, "kind": "magic"}]}, "does not match any of the expected tags"),
        ({"rules": [{**STEP, "threshold": None}]}, "'busy' needs both a comparator and a threshold"),
        ({"rules": [{**STEP, "comparator": None, "threshold": None}]}, "'busy' needs either"),
        ({"rules": [{**STEP, "scale_up_threshold": 5}]}, "'busy' needs either"),
        ({"rules": [{**STEP, "step": 0}]}, "step of rule 'busy' is 0"),
        (
            {"rules": [{**STEP, "comparator": None, "threshold": None, "scale_up_threshold": 5, "step": -1}]},
            "'busy' has step -1",
        ),
        (
            {
                "rules": [
                    {
                        **STEP,
                        "comparator": None,
                        "threshold": None,
                        "scale_up_threshold": 5,
                        "scale_down_threshold": 6,
                    }
                ]
            },
            "scale_down_threshold 6.0 above scale_up_threshold 5.0",
        ),
        ({"rules": [{**TRACKING, "target": 0}]}, "target of rule 't' is 0"),
        ({"rules": [{**TRACKING, "target": -1}]}, "greater than or equal to 0"),
        ({"rules": [{**TRACKING, "source": "prometheus"}]}, "'t' has no query, but its source is prometheus"),
        ({"rules": [{**TRACKING, "query": "up"}]}, "'t' has a query, but its source is not prometheus"),
        (
            {
                "rules": [
                    {**TRACKING, "source": "prometheus", "query": "a"},
                    {**TRACKING, "name": "u", "source": "prometheus", "query": "b"},
                ]
            },
            "'u' asks another query for metric 'm'",
        ),
        ({"rules": [TRACKING, TRACKING]}, "rules share the name 't'"),
        ({"behavior": {"scale_up": {"policies": []}}}, "at least 1 item"),
        ({"combine": "vote"}, "combine"),
        ({"pause": "maybe"}, "pause"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(wrong: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        ScalingPolicy.model_validate(wrong)


def test_target_tracking_has_the_pace_of_hpa_unless_the_policy_says_another() -> None:
    rule = TargetTrackingRule(name="t", source=MetricSource.KERNEL, metric="m", target=5)

    assert ScalingPolicy(rules=(rule,)).pace == DEFAULT_PACE
    assert ScalingPolicy(rules=(rule,), behavior=Behavior()).pace.up_window == 0.0


def test_the_default_behavior_is_that_of_hpa() -> None:
    behavior = Behavior().model_dump(mode="json")

    assert behavior == {
        "scale_up": {
            "stabilization_window_seconds": 0.0,
            "policies": [
                {"unit": "replicas", "value": 4, "period_seconds": 15.0},
                {"unit": "percent", "value": 100, "period_seconds": 15.0},
            ],
            "select": "max",
        },
        "scale_down": {
            "stabilization_window_seconds": 300.0,
            "policies": [{"unit": "percent", "value": 100, "period_seconds": 15.0}],
            "select": "max",
        },
    }


def test_a_policy_says_what_has_to_be_kept_and_asked_for_it() -> None:
    rules = [
        {**TRACKING, "window_seconds": 20},
        {"kind": "window-with-panic", "name": "w", "source": "kernel", "metric": "m", "target": 5},
        {**TRACKING, "name": "q", "source": "prometheus", "metric": "p", "query": "sum(x)"},
    ]

    policy = ScalingPolicy.model_validate({"rules": rules})

    assert policy.queries == {"p": "sum(x)"}
    assert policy.window_limits == {
        (MetricSource.KERNEL, "m"): WindowLimits(seconds=60.0),
        (MetricSource.PROMETHEUS, "p"): WindowLimits(seconds=0.0),
    }
