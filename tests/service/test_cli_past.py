"""`--at`: the past as the live views held it."""

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from domain import commands as c
from tests.chronicle import Chronicle
from tests.cli_support import (
    CHAT,
    GONE,
    OLD_CHAT,
    POLICY,
    REVISION,
    SEARCH,
    Run,
    bring_up,
    create,
    fail_to_register,
    json_of,
    runner_for,
    scale_by_rule,
    take_down,
    told,
)

QUESTIONS = (
    ("get", "deployments", "--all"),
    ("get", "deployments", "--lifecycle", "ready"),
    ("get", "deployments", "chat"),
    ("get", "routes", "--all"),
    ("get", "routes", "-d", "chat"),
    ("get", "replicas"),
    ("get", "replicas", "chat"),
    ("describe", "deployment", "chat"),
)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return runner_for(tmp_path)


def answers(run: Run, *options: str) -> list[Any]:
    """What all questions are answered now, or with ``--at``."""
    return [json_of(run(*question, *options, "-o", "json")) for question in QUESTIONS]


def lived_through(tmp_path: Path, run: Run) -> list[tuple[int, list[Any]]]:
    """Let much happen; gives positions, and what the live views answered there."""
    seen = []
    with closing(Chronicle(tmp_path)) as chronicle:

        def look() -> None:
            chronicle.fold()
            seen.append((chronicle.head, answers(run)))

        bring_up(chronicle, OLD_CHAT, "chat")
        look()
        take_down(chronicle, OLD_CHAT)
        look()
        bring_up(chronicle, CHAT, "chat", scaling_policy=POLICY)
        scale_by_rule(chronicle)
        look()
        chronicle.ask(create(SEARCH, "search", 2, resource_group="edge", target_revision=REVISION), actor="bob")
        fail_to_register(chronicle, 1)
        bring_up(chronicle, GONE, "gone")
        look()
        take_down(chronicle, GONE)
        chronicle.fold()
    return seen


@pytest.mark.parametrize("longest", ["20000", "1"], ids=["from-streams", "from-the-whole-log"])
def test_every_question_is_answered_as_it_was_then(tmp_path: Path, longest: str) -> None:
    run = runner_for(tmp_path, ROUTEKEEPER_HISTORY__STREAM_EVENTS=longest)
    for position, then in lived_through(tmp_path, run):
        assert answers(run, "--at", str(position)) == then


def test_without_views_the_log_alone_answers(tmp_path: Path, run: Run) -> None:
    seen = lived_through(tmp_path, run)
    (tmp_path / "views.db").unlink()

    for position, then in seen:
        assert answers(run, "--at", str(position)) == then


def test_ages_are_as_of_then(tmp_path: Path, run: Run) -> None:
    position, _ = lived_through(tmp_path, run)[0]

    assert "(0s ago)" in run("describe", "deployment", "chat", "--at", str(position)).stdout


def test_checkpoints_are_kept_where_one_says(tmp_path: Path) -> None:
    run = runner_for(tmp_path, ROUTEKEEPER_HISTORY__CHECKPOINTS__SPACING="100")
    with closing(Chronicle(tmp_path)) as chronicle:
        bring_up(chronicle, CHAT, "chat")
        for count in range(150):
            chronicle.ask(c.SetReplicaCount(deployment_id=CHAT, replica_count=2 + count))

    first = run("get", "deployments", "--at", "0s", "--cache", str(tmp_path / "here"), "-o", "json")

    assert list((tmp_path / "here").glob("*/*/*.db"))
    again = run("get", "deployments", "--at", "0s", "--cache", str(tmp_path / "here"), "-o", "json")
    assert json_of(first) == json_of(again)


def test_what_was_not_there_yet_is_said(tmp_path: Path, run: Run) -> None:
    lived_through(tmp_path, run)

    early = run("describe", "deployment", "search", "--at", "1")
    never = run("describe", "deployment", "nowhere", "--at", "1")

    said = "error: deployment search did not exist yet at position 1: it was created at 2026-03-01 12:00:"
    assert (early.exit_code, never.exit_code) == (1, 1)
    assert early.stderr.startswith(said)
    assert never.stderr == "error: no deployment has the id, id prefix or name 'nowhere'\n"


def test_the_past_cannot_be_watched(run: Run) -> None:
    refused = run("get", "deployments", "--at", "1", "--watch")

    assert refused.exit_code == 2
    assert "--watch and --at do not go together" in refused.stderr


def test_a_position_behind_the_logs_end_is_noted(tmp_path: Path) -> None:
    run = told(tmp_path)

    assert "The log ends at position" in run("get", "deployments", "--at", "471100").stderr
