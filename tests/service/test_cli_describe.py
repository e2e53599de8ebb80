"""`routekeeper describe`: everything about one deployment."""

import pytest
import yaml

from tests.cli_support import CHAT, SEARCH, Run, json_of, told


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return told(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def chat(run: Run) -> str:
    return run("describe", "deployment", "chat").stdout


@pytest.mark.parametrize(
    "fact",
    [
        f"chat  {CHAT}",
        "Lifecycle       ready",
        "3/3/3 desired/active/healthy, 0 starting, 1 set by hand",
        "https://chat.models.example/",
        "registry.example/vllm:0.9",
        "Created         2026-03-01 12:00:11 UTC",
    ],
)
def test_a_description_has_the_specification_and_the_state(chat: str, fact: str) -> None:
    assert fact in chat


@pytest.mark.parametrize(
    "rule",
    [
        "bounds  1 to 3 replicas",
        "busy    add 2 replicas when the replicas' mean gpu_util > 80, then rest for 5m",
        "idle    remove 1 replica when requests_running per replica ≤ 0.5, then rest for 10m; 1 to 6 replicas",
    ],
)
def test_a_description_has_the_scaling_rules_in_words(chat: str, rule: str) -> None:
    assert rule in chat


def test_a_description_has_the_arithmetic_of_the_last_decisions(chat: str) -> None:
    decided = "rule busy saw the replicas' mean gpu_util at 92.5 > 80 (1 sample), so 1 + 2 = 3"

    assert f"1 → 3 desired replicas: {decided}" in chat


def test_a_description_has_conditions_with_reason_message_and_age(chat: str) -> None:
    (line,) = (line.split() for line in chat.splitlines() if "EndpointRegistered" in line)

    assert line[1] == "True"
    assert line[3:] == ["Registered", *["the", "app", "proxy", "serves", "the", "endpoint"]]


def test_a_description_has_open_failures_with_the_next_try(run: Run) -> None:
    search = " ".join(run("describe", "deployment", "search").stdout.split())

    assert "resource group edge has no app proxy [proxy-target-missing, permanent]" in search
    assert "2 failed tries since 2026-03-01 12:00:23 UTC, next 2026-03-01 12:20:23 UTC" in search


def test_programs_get_the_deployment_and_what_belongs_to_it(run: Run) -> None:
    of_chat = json_of(run("describe", "deployment", str(CHAT), "-o", "json"))
    of_search = yaml.safe_load(run("describe", "deployment", str(SEARCH), "-o", "yaml").stdout)

    assert list(of_chat) == ["deployment", "routes", "failures", "decisions"]
    assert [route["status"] for route in of_chat["routes"]] == ["healthy"] * 3
    assert [(each["previous"], each["desired"]) for each in of_chat["decisions"]] == [(1, 3)]
    assert [(each["operation"], each["attempts"]) for each in of_search["failures"]] == [
        ("check_pending_deployments", 2)
    ]


@pytest.mark.parametrize("columns", [80, 120])
def test_a_description_fits_the_terminal(run: Run, columns: int) -> None:
    for name in ("chat", "search"):
        result = run("describe", "deployment", name, columns=columns)
        assert max(map(len, result.stdout.splitlines())) <= columns


def test_an_unknown_deployment_cannot_be_described(run: Run) -> None:
    result = run("describe", "deployment", "nobody")

    assert result.exit_code == 1
    assert "no deployment has the id, id prefix or name 'nobody'" in result.stderr
