"""`routekeeper diff`: what changed between two moments."""

import asyncio
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from adapters.event_store.event_log import open_sqlite_log
from domain.pauses import (
    PAUSES_ID,
    EffectsPaused,
    EffectsResumed,
    Everything,
    PauseEvent,
    ResourceGroup,
    SingleDeployment,
)
from domain.recorded import OperationCause, RecordedEvent
from handlers.ports import LogBatch
from service.cli.moments import log_point
from tests.cli_support import CHAT, GONE, SEARCH, Run, json_of, told


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return told(tmp_path)


def changed(deployment: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {each["what"]: (each["before"], each["after"]) for each in deployment["changes"]}


def test_each_deployment_that_something_happened_to_is_told_with_before_and_after(run: Run) -> None:
    found = json_of(run("diff", "--from", "13", "--to", "41", "-o", "json"))

    chat, search, gone = found["deployments"]
    assert (chat["deployment_id"], chat["is_new"]) == (str(CHAT), False)
    assert (search["deployment_id"], search["is_new"]) == (str(SEARCH), True)
    assert gone["deployment_id"] == str(GONE)
    changes = changed(chat)
    assert changes["lifecycle"] == ("pending", "ready")
    assert changes["desired replicas"] == ("1", "3")
    assert changes["endpoint"] == ("-", "https://chat.models.example/")
    assert changes["rule busy"][0] == "-"
    assert "replicas set by hand" not in changes


def test_routes_that_came_and_went_are_in_both_lists(run: Run) -> None:
    *_, gone = json_of(run("diff", "--from", "13", "--to", "41", "-o", "json"))["deployments"]

    assert gone["routes_come"] == gone["routes_gone"]
    assert len(gone["routes_come"]) == 1


def test_decisions_between_come_with_their_arithmetic(run: Run) -> None:
    chat = json_of(run("diff", "--from", "13", "-d", "chat", "-o", "json"))["deployments"][0]

    (decision,) = chat["decisions"]
    assert (decision["previous"], decision["desired"]) == (1, 3)
    assert "gpu_util at 92.5 > 80" in decision["explanation"]
    less = json_of(run("diff", "--from", "13", "-d", "chat", "--decisions", "0", "-o", "json"))["deployments"][0]
    assert (less["decisions"], less["decisions_left_out"]) == ([], 1)


def test_only_what_lies_between_counts(run: Run) -> None:
    assert json_of(run("diff", "--from", "20", "--to", "20", "-o", "json"))["deployments"] == []
    assert "Nothing changed." in run("diff", "--from", "20", "--to", "20").stdout
    (chat,) = json_of(run("diff", "--from", "20", "--to", "21", "-o", "json"))["deployments"]
    assert chat["events"] == 1
    assert set(changed(chat)) == {"desired replicas"}


def test_only_so_many_deployments_are_told(run: Run) -> None:
    limited = run("diff", "--from", "13", "--limit", "1", "-o", "json")

    assert len(json_of(limited)["deployments"]) == 1
    assert "2 more deployments changed" in limited.stderr


def test_people_get_a_table(run: Run) -> None:
    shown = run("diff", "--from", "13", "-d", "chat").stdout

    assert "desired replicas  1" in shown
    assert "Routes come  3: " in shown


def test_the_end_does_not_lie_before_the_beginning(run: Run) -> None:
    refused = run("diff", "--from", "20", "--to", "10")

    assert refused.exit_code == 2
    assert "--to position 10 is before --from position 20" in refused.stderr


def test_from_before_the_first_event_is_said_so(run: Run) -> None:
    assert "From before the first event to" in run("diff", "--from", "0").stdout


@pytest.mark.parametrize(
    ("begin", "end"), [("2026-03-02", "2026-03-01"), ("40", "2026-03-01T12:00:05Z"), ("2026-03-01T12:00:30Z", "1")]
)
def test_both_ends_of_a_reversed_time_are_named(run: Run, begin: str, end: str) -> None:
    """Whether they are given as times or as positions."""
    refused = " ".join(run("diff", "--from", begin, "--to", end).stderr.replace("│", " ").split())

    assert f"--to {spoken(end)} is before --from {spoken(begin)}" in refused


def spoken(point: str) -> str:
    return log_point(point).in_words


def pause(tmp_path: Path, *events: PauseEvent) -> int:
    """Let pauses happen after all else; gives the position of the first."""

    async def happen() -> int:
        with closing(open_sqlite_log(tmp_path / "events.db")) as log:
            recorded = [
                RecordedEvent(PAUSES_ID, version, OperationCause(operation="test"), event)
                for version, event in enumerate(events, start=1)
            ]
            return (await log.append(LogBatch(events=recorded)))[0]

    return asyncio.run(happen())


AT = datetime(2026, 3, 1, 13, tzinfo=UTC)
ALL = Everything()


def test_pauses_between_are_listed(run: Run, tmp_path: Path) -> None:
    first = pause(
        tmp_path,
        EffectsPaused(at=AT, scope=ALL, actor="alice", reason="a drill"),
        EffectsResumed(at=AT, scope=ALL, actor="alice", reason="it is over"),
    )

    both = json_of(run("diff", "--from", str(first - 1), "-o", "json"))["pauses"]
    second = json_of(run("diff", "--from", str(first), "-o", "json"))["pauses"]

    assert [(each["is_paused"], each["reason"]) for each in both] == [(True, "a drill"), (False, "it is over")]
    assert second == both[1:]
    shown = run("diff", "--from", str(first - 1)).stdout
    assert "everything paused by alice: a drill" in shown
    assert "everything resumed by alice: it is over" in shown
    assert "Nothing changed." not in shown


def test_of_one_deployment_only_its_pauses_are_listed(run: Run, tmp_path: Path) -> None:
    scopes = (
        Everything(),
        ResourceGroup(resource_group="gpu"),
        ResourceGroup(resource_group="edge"),
        SingleDeployment(deployment_id=CHAT),
        SingleDeployment(deployment_id=GONE),
    )
    first = pause(tmp_path, *(EffectsPaused(at=AT, scope=scope, reason="", actor="") for scope in scopes))

    found = json_of(run("diff", "--from", str(first - 1), "-d", "chat", "-o", "json"))["pauses"]

    assert [each["position"] - first for each in found] == [0, 1, 3]
