"""`routekeeper explain`: why a deployment has the replicas that it has, from the log."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from domain import commands as c
from domain.autoscaling.behavior import Behavior, RatePolicy, RateUnit, ScalingRules
from domain.autoscaling.metric import MetricSource
from domain.autoscaling.rules import Pause, ScalingPolicy, TargetTrackingRule
from domain.operations import Operation
from domain.routes import RouteStatus
from tests.chronicle import Chronicle
from tests.cli_support import CHAT, SEARCH, Run, bring_up, create, json_of, runner_for, scale_by_rule
from tests.cli_support import POLICY as STEPS
from tests.domain.autoscaling.worlds import evaluated, healthy, of_routes, route, route_id

LATENCY = TargetTrackingRule(
    name="latency", source=MetricSource.KERNEL, metric="load", target=300, unit="ms", scale_down_tolerance=0.1
)
TWO_A_MINUTE = ScalingRules(policies=(RatePolicy(unit=RateUnit.REPLICAS, value=2, period_seconds=60),))
POLICY = ScalingPolicy(rules=(LATENCY,), min_replicas=1, max_replicas=20, behavior=Behavior(scale_up=TWO_A_MINUTE))
FIRST = (
    "7 → 9: rule latency: 7 of 7 routes reported, mean 412 ms / target 300 ms = 1.37 → 10; "
    "scale-up policy 2 per 60 s from 7 → 9"
)
SECOND = (
    "9 → 11: rule latency: 7 of 9 routes reported (1 missing, 1 not ready), mean 600 ms / target 300 ms = 2, "
    "1.56 with the missing and unready counted cautiously → 14; scale-up policy 2 per 60 s from 9 → 11"
)


def decide(chronicle: Chronicle, current: int, load: float, *, missing: int = 0, unready: int = 0) -> None:
    """Let the engine look at as many routes, some without a sample or not ready, and take over what it comes to."""
    ready = current - unready
    routes = [*healthy(ready), *(route(ready + number, RouteStatus.PROVISIONING) for number in range(unready))]
    evaluation = evaluated(
        LATENCY,
        current=current,
        samples=of_routes([load] * (ready - missing)),
        routes=routes,
        policy={"behavior": POLICY.behavior},
    )
    command = c.RecordDesiredReplicas(deployment_id=CHAT, decision=evaluation.decision())
    chronicle.find(command, Operation.CALCULATE)


@pytest.fixture
def chronicle(tmp_path: Path) -> Iterator[Chronicle]:
    with closing(Chronicle(tmp_path)) as chronicle:
        yield chronicle


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return runner_for(tmp_path)


@pytest.fixture
def scaled(chronicle: Chronicle) -> Chronicle:
    """``chat`` went from 7 by 9 to 11."""
    chronicle.ask(create(CHAT, "chat", 7, scaling_policy=POLICY))
    decide(chronicle, 7, 412.0)
    decide(chronicle, 9, 600.0, missing=1, unready=1)
    chronicle.fold()
    return chronicle


def test_the_last_decision_is_told_in_words_and_numbers(scaled: Chronicle, run: Run) -> None:
    text = run("explain", "chat", columns=400).stdout

    assert f"chat  {CHAT}" in text
    assert SECOND in text
    assert "2026-03-01 12:00:03 UTC" in text
    assert f"{CHAT}:4, position {scaled.head}" in text
    assert "calculate desired replicas" in text


def test_routes_that_did_not_count_are_named(scaled: Chronicle, run: Run) -> None:
    decision = json_of(run("explain", "chat", "-o", "json"))["decision"]
    text = run("explain", "chat").stdout

    assert decision["missing_routes"] == [str(route_id(7))]
    assert decision["unready_routes"] == [str(route_id(8))]
    assert f"No sample of     {str(route_id(7))[:8]}" in text
    assert f"Not ready        {str(route_id(8))[:8]}" in text


def test_conditions_stand_with_the_time_since_when_they_hold(scaled: Chronicle, run: Run) -> None:
    conditions = {
        each["type"]: each for each in json_of(run("explain", "chat", "-o", "json"))["decision"]["conditions"]
    }

    limited = conditions["ScalingLimited"]
    assert (limited["status"], limited["reason"]) == ("True", "ScaleUpLimit")
    assert limited["last_transition_time"] == "2026-03-01T12:00:02Z"
    assert conditions["AbleToScale"]["reason"] == "SucceededRescale"
    assert conditions["ScalingActive"]["reason"] == "ValidMetricFound"
    assert "ScaleUpLimit" in run("explain", "chat").stdout


def test_earlier_decisions_follow_newest_first(scaled: Chronicle, run: Run) -> None:
    scaled.find(c.RecordReplicaCountMismatch(deployment_id=CHAT, expected=1, actual=1), Operation.CHECK_READY)
    decide(scaled, 11, 600.0)

    explained = json_of(run("explain", "chat", "-o", "json"))
    limited = run("explain", "chat", "--limit", "1", "-o", "json")

    assert [each["explanation"] for each in explained["earlier"]] == [SECOND, FIRST]
    assert [each["explanation"] for each in json_of(limited)["earlier"]] == [SECOND]
    assert "1 earlier decision not shown" in limited.stderr


@pytest.mark.parametrize("back", [0, 1])
def test_as_of_a_position_the_last_decision_until_then_is_told(scaled: Chronicle, run: Run, back: int) -> None:
    explained = json_of(run("explain", "chat", "--at", str(scaled.head - back), "-o", "json"))

    assert explained["decision"]["explanation"] == (FIRST if back else SECOND)
    assert len(explained["earlier"]) == (0 if back else 1)


def test_as_of_a_time_it_counts_what_was_committed_by_then(scaled: Chronicle, run: Run) -> None:
    assert json_of(run("explain", "chat", "--at", "0s", "-o", "json"))["decision"]["explanation"] == SECOND
    before = run("explain", "chat", "--at", "2026-01-01")
    assert before.exit_code == 1
    assert before.stderr.startswith(
        "error: deployment chat did not exist yet at 2026-01-01 00:00:00 UTC: it was created at"
    )


def test_what_changed_the_number_since_then_is_told_too(scaled: Chronicle, run: Run) -> None:
    scaled.ask(c.PauseScaling(deployment_id=CHAT, pause=Pause.SCALE_IN))
    scaled.ask(c.SetReplicaCount(deployment_id=CHAT, replica_count=3))

    explained = json_of(run("explain", "chat", "-o", "json"))
    text = run("explain", "chat").stdout

    assert [each["description"] for each in explained["afterwards"]] == [
        "scaling in paused: the rules may add but not remove",
        "number of replicas set by hand: 11 → 3",
    ]
    assert "Since then, to 3 wanted" in text
    assert "number of replicas set by hand: 11 → 3" in text


def test_a_decision_of_the_first_release_has_words_too(chronicle: Chronicle, run: Run) -> None:
    bring_up(chronicle, CHAT, "chat", scaling_policy=STEPS)
    scale_by_rule(chronicle)

    decision = json_of(run("explain", str(CHAT), "-o", "json"))["decision"]

    assert decision["explanation"] == (
        "1 → 3 desired replicas: rule busy saw the replicas' mean gpu_util at 92.5 > 80 (1 sample), so 1 + 2 = 3"
    )
    assert (decision["reasoning"], decision["conditions"]) == (None, [])


@pytest.mark.parametrize(
    ("policy", "commands", "sentence"),
    [
        (None, (), "2 replicas wanted, set by hand, because the scaling policy has no rules"),
        (POLICY, (), "no samples have come yet that give latency a reason to change that"),
        (
            POLICY,
            (c.OverrideReplicas(deployment_id=SEARCH, replica_count=4),),
            "4 replicas wanted, held by hand until told otherwise, which suspends the rules",
        ),
        (POLICY, (c.DestroyDeployment(deployment_id=SEARCH),), "and the deployment is destroyed"),
    ],
)
def test_without_a_decision_a_sentence_says_why(
    chronicle: Chronicle, run: Run, policy: ScalingPolicy | None, commands: tuple[c.AnyCommand, ...], sentence: str
) -> None:
    chronicle.ask(create(SEARCH, "search", 2, scaling_policy=policy))
    for command in commands:
        chronicle.ask(command)

    told = run("explain", str(SEARCH))

    assert told.exit_code == 0
    assert "no scaling decision yet: " in told.stdout
    assert sentence in told.stdout
    assert json_of(run("explain", str(SEARCH), "-o", "json"))["decision"] is None


def test_there_is_nothing_to_explain_of_an_unknown_deployment(scaled: Chronicle, run: Run) -> None:
    assert "no deployment has the id" in run("explain", str(SEARCH)).stderr


def test_describe_and_get_show_the_conditions_of_scaling(scaled: Chronicle, run: Run) -> None:
    scaled.ask(c.PauseScaling(deployment_id=CHAT, pause=Pause.SCALE_IN))
    scaled.fold()

    described = run("describe", "deployment", "chat").stdout
    (row,) = json_of(run("get", "deployments", "-o", "json"))

    assert "the number grows as fast as it may" in described
    assert "9 → 11 desired replicas: rule latency: 7 of 9 routes reported" in described
    assert "scaling in paused: the rules may add but not remove (by command)" in described
    assert "ScaleUpLimit" in run("get", "deployments").stdout
    assert row["scaling_pause"] == "scale-in"
    assert [each["type"] for each in row["scaling_conditions"]] == [
        *("AbleToScale", "ScalingActive", "ScalingLimited", "ScaledToZero")
    ]
