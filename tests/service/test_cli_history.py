"""`routekeeper history` and `routekeeper replay`: what was, from the log alone."""

from pathlib import Path

import pytest

from tests.cli_support import CHAT, GONE, SEARCH, Run, json_of, runner_for, told


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def run(folder: Path) -> Run:
    return told(folder)


def test_a_history_tells_each_event_with_its_numbers_and_its_cause(run: Run) -> None:
    lines = run("history", "chat").stdout.splitlines()

    assert "created as chat in resource group gpu, 1 replica wanted" in lines[1]
    assert "routekeeper.commands/2@21 by alice from /tests ce-21" in lines[1]
    assert lines[-1].split() == (
        [
            "25",
            "2026-03-01",
            "12:00:21",
            "13",
            "ready",
            "with",
            "3",
            "replicas",
            "check",
            "ready",
            "deployments",
            "that",
            "need",
            "scaling",
        ]
    )


def test_in_a_narrow_terminal_causes_stand_below_their_events(run: Run) -> None:
    result = run("history", "chat", columns=80)

    assert max(map(len, result.stdout.splitlines())) <= 80
    assert [line.strip() for line in result.stdout.splitlines()[-2:]] == [
        "25  2026-03-01 12:00:21  ready with 3 replicas",
        "check ready deployments that need scaling",
    ]


def test_programs_get_whole_events_and_causes(run: Run) -> None:
    entries = json_of(run("history", "search", "-o", "json"))

    assert [entry["version"] for entry in entries] == [1, 2, 3, 4]
    assert [entry["type"] for entry in entries][:2] == ["deployment.created.v1", "deployment.target-revision-set.v1"]
    first, *_, last = entries
    assert first["event_id"] == f"{SEARCH}:1"
    assert first["cause"]["actor"] == "bob"
    assert (first["event"]["deployment_name"], first["event"]["replica_count"]) == ("search", 2)
    assert last["cause"] == {"kind": "operation", "operation": "check_pending_deployments"}
    assert last["event"]["attempts"] == 2


def test_a_limited_history_is_the_newest_part_and_says_so(run: Run) -> None:
    result = run("history", "chat", "--limit", "2", "-o", "json")

    assert [entry["version"] for entry in json_of(result)] == [12, 13]
    assert "11 earlier events not shown" in result.stderr


def test_since_leaves_out_earlier_events(run: Run) -> None:
    entries = json_of(run("history", "chat", "--since", "2026-03-01 12:00:20", "-o", "json"))

    assert [entry["version"] for entry in entries] == [12, 13]


def test_a_history_by_whole_id_needs_no_views(folder: Path, run: Run, tmp_path: Path) -> None:
    (tmp_path / "events.db").write_bytes((folder / "events.db").read_bytes())
    assert run("history", str(CHAT)).exit_code == 0

    assert len(json_of(runner_for(tmp_path)("history", str(CHAT), "-o", "json"))) == 13


def test_there_is_no_history_of_an_unknown_id(run: Run) -> None:
    result = run("history", "00000000-0000-4000-8000-000000000000")

    assert result.exit_code == 1
    assert "no deployment has the id" in result.stderr


def test_a_replay_to_a_position_shows_the_views_as_they_were(run: Run) -> None:
    past = json_of(run("replay", "--until", "18", "-o", "json"))

    assert list(past) == ["position", "at", "deployments", "routes", "replicas"]
    assert (past["position"], past["at"]) == (18, "2026-03-01T12:00:14Z")
    (chat,) = past["deployments"]
    assert (chat["lifecycle"], chat["active_replicas"], chat["healthy_replicas"]) == ("scaling", 1, 0)
    assert [route["status"] for route in past["routes"]] == ["provisioning"]


def test_a_replay_to_the_end_shows_what_the_live_views_show(run: Run) -> None:
    past = json_of(run("replay", "--until", "1000000", "-o", "json"))

    assert past["deployments"] == json_of(run("get", "deployments", "-o", "json"))
    assert past["routes"] == json_of(run("get", "routes", "-o", "json"))
    assert past["replicas"] == json_of(run("get", "replicas", "-o", "json"))


def test_a_replay_to_a_time_is_by_when_things_were_committed(run: Run) -> None:
    before = run("replay", "--until", "2026-01-01")
    after = json_of(run("replay", "--until", "0s", "-o", "json"))

    assert (before.exit_code, before.stdout) == (0, "Nothing had happened by then.\n")
    assert [row["name"] for row in after["deployments"]] == ["chat", "search"]


def test_ages_in_a_replay_are_as_of_then(run: Run) -> None:
    result = run("replay", "--until", "18")

    assert result.stdout.startswith("As of 2026-03-01 12:00:14 UTC, position 18 of the log:")
    (line,) = (line for line in result.stdout.splitlines() if line.strip().startswith("chat"))
    assert line.split()[-1] == "3s"


def test_a_kept_scratch_database_goes_on_but_not_back(run: Run, tmp_path: Path) -> None:
    kept = str(tmp_path / "then.db")
    assert run("replay", "--until", "10", "--database", kept).exit_code == 0

    assert json_of(run("replay", "--until", "18", "--database", kept, "-o", "json"))["position"] == 18
    back = run("replay", "--until", "10", "--database", kept)
    assert back.exit_code == 1
    assert "past 10" in back.stderr


def test_the_live_views_and_the_log_are_never_taken_for_scratch(folder: Path, run: Run) -> None:
    for name in ("views.db", "events.db"):
        result = run("replay", "--until", "10", "--database", str(folder / name))
        assert result.exit_code == 1
        assert "is in use by the worker" in result.stderr
    assert json_of(run("get", "deployments", "-o", "json"))


def test_what_was_destroyed_by_then_is_shown_only_when_asked_for(run: Run) -> None:
    usual = json_of(run("replay", "--until", "1000", "-o", "json"))
    everything = json_of(run("replay", "--until", "1000", "--all", "-o", "json"))

    assert str(GONE) not in {row["id"] for row in usual["deployments"]}
    assert str(GONE) in {row["id"] for row in everything["deployments"]}
