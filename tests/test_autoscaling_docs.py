"""What docs/autoscaling.md shows is what Routekeeper takes."""

import json
import re
from enum import StrEnum
from pathlib import Path
from typing import get_args

import pytest
import yaml
from typer.testing import CliRunner

from adapters.kafka.envelope import parse_record
from adapters.kafka.topics import Topics
from adapters.prometheus_answers import ROUTE_LABEL
from domain.autoscaling.conditions import ScalingConditionType
from domain.autoscaling.metric import MetricSource
from domain.autoscaling.reasoning import Able, Active, Limited
from domain.autoscaling.rules import Combine, Pause, ScalingPolicy, ScalingRule, TargetType
from handlers.records import SamplesRecord
from service.cli.app import app
from tests.kafka_support import received

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "autoscaling.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
YAML = [yaml.safe_load(text) for language, text in BLOCKS if language == "yaml"]
RULES = [example for example in YAML if "kind" in example]
POLICIES = [example for example in YAML if "kind" not in example]
COMMANDS = [
    line.removeprefix("$ routekeeper ").split()
    for language, text in BLOCKS
    if language == "console"
    for line in text.splitlines()
]


@pytest.mark.parametrize("example", RULES, ids=lambda example: example["name"])
def test_a_rule_of_the_page_is_a_rule(example: dict[str, object]) -> None:
    policy = ScalingPolicy.model_validate_json(json.dumps({"rules": [example]}))

    assert policy.rules[0].kind == example["kind"]


@pytest.mark.parametrize("example", POLICIES)
def test_a_policy_of_the_page_is_a_policy(example: dict[str, object]) -> None:
    ScalingPolicy.model_validate_json(json.dumps(example))


def test_all_rules_of_the_page_fit_into_one_policy() -> None:
    assert len(ScalingPolicy.model_validate({"rules": RULES}).rules) == len(RULES)


def test_every_kind_of_rule_has_an_example() -> None:
    kinds = {rule.model_fields["kind"].default for rule in get_args(ScalingRule)}

    assert {example["kind"] for example in RULES} == kinds


def test_a_record_of_the_page_is_understood() -> None:
    (text,) = (text for language, text in BLOCKS if language == "json")
    key = json.loads(text)["data"]["deployment_id"].encode()

    assert isinstance(parse_record(received(text.encode(), key=key, topic=Topics().metrics)), SamplesRecord)


@pytest.mark.parametrize(
    "words", [Able, Active, Limited, ScalingConditionType, Combine, Pause, TargetType, MetricSource]
)
def test_every_word_that_may_be_seen_or_chosen_stands_on_the_page(words: type[StrEnum]) -> None:
    assert [word.value for word in words if word.value not in PAGE] == []


def test_the_label_by_which_answers_are_told_apart_stands_on_the_page() -> None:
    assert f"`{ROUTE_LABEL}`" in PAGE


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_of_the_page_exists_with_its_options(command: list[str]) -> None:
    """Asked for help, the command line still refuses commands that it does not have."""
    names = command[:2] if command[0] == "send" else command[:1]
    result = CliRunner().invoke(app, [*names, "--help"], env={"COLUMNS": "200"})

    assert result.exit_code == 0
    assert [option for option in command if option.startswith("-") and option not in result.stdout] == []
