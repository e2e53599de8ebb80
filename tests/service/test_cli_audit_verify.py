"""`routekeeper audit verify`: what was tampered with is found and named."""

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from adapters.event_store.instants import microseconds_of
from tests.chronicle import Chronicle
from tests.cli_support import CHAT, GONE, Run, bring_up, json_of, told

#: What a log that is as it should be is checked for.
CHECKS = (
    "heads",
    "events-decode",
    "versions-contiguous",
    "lifecycle-rules",
    "causes-exist",
    "one-outcome-per-command",
    "commit-times",
    "view-deployments",
    "view-autoscaling_decisions",
    "view-operation_failures",
    "view-rejected_records",
    "view-control",
)
LAST_OF_CHAT = f"(SELECT MAX(originator_version) FROM stored_events WHERE originator_id = '{CHAT.hex}')"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return told(tmp_path)


def tamper(file: Path, *statements: str) -> None:
    """Change a database behind the back of Routekeeper."""
    with closing(sqlite3.connect(file)) as connection, connection:
        for statement in statements:
            assert connection.execute(statement).rowcount, statement


def found(run: Run, *options: str) -> dict[str, list[dict[str, Any]]]:
    """The findings by check, of those that found something."""
    result = run("audit", "verify", "--json", *options)
    assert result.exit_code in {0, 1}, result.stderr
    report = json.loads(result.stdout)
    assert result.exit_code == (0 if report["ok"] else 1)
    return {check["name"]: check["findings"] for check in report["checks"] if not check["ok"]}


def test_a_log_and_views_that_are_whole_pass_every_check(run: Run) -> None:
    report = json_of(run("audit", "verify", "--json"))

    assert report["ok"]
    assert [check["name"] for check in report["checks"]] == list(CHECKS)
    assert run("audit", "verify").exit_code == 0


def test_an_altered_row_of_a_view_is_told_with_the_events_that_made_it(run: Run, tmp_path: Path) -> None:
    tamper(tmp_path / "views.db", f"UPDATE deployments SET healthy_replicas = 77 WHERE id = '{CHAT}'")

    ((finding,),) = found(run).values()

    assert finding["where"] == f"deployments {CHAT}"
    assert finding["message"] == "healthy_replicas is 77, by the log 3"
    assert finding["evidence"][0]["event_id"] == f"{CHAT}:1"
    assert {each["event_id"].partition(":")[0] for each in finding["evidence"]} == {str(CHAT)}
    assert f"{CHAT}:1  deployment.created.v1" in run("audit", "verify").stdout


def test_the_events_that_made_a_route_are_those_that_speak_of_it(run: Run, tmp_path: Path) -> None:
    tamper(tmp_path / "views.db", f"DELETE FROM routes WHERE deployment_id = '{CHAT}' AND ended_at IS NULL")

    findings = found(run)["view-deployments"]

    kinds = {each["type"] for finding in findings for each in finding["evidence"]}
    assert kinds == {"deployment.scaled-out.v1", "deployment.route-status-reported.v1"}
    assert all("the row is missing" in finding["message"] for finding in findings)


def test_a_row_that_no_event_made_is_said_to_be_one(run: Run, tmp_path: Path) -> None:
    columns = "deployment_id, position + 100000, at, target, active, healthy, provisioning"
    tamper(tmp_path / "views.db", f"INSERT INTO replicas SELECT {columns} FROM replicas LIMIT 1")

    ((finding,),) = found(run).values()

    assert "no event made it" in finding["message"]
    assert finding["evidence"] == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("topic = 'deployment.never-heard-of.v1'", "this version does not know"),
        ("state = CAST('{}' AS BLOB)", "has another shape: cause: Field required"),
        ("state = CAST('no JSON' AS BLOB)", "has another shape: Invalid JSON"),
    ],
)
def test_an_event_that_cannot_be_read_is_named(run: Run, tmp_path: Path, change: str, message: str) -> None:
    tamper(tmp_path / "events.db", f"UPDATE stored_events SET {change} WHERE rowid = 5")

    findings = found(run)

    assert findings["events-decode"][0]["where"] == "position 5"
    assert message in findings["events-decode"][0]["message"]
    # The others are verified all the same, and what cannot be rebuilt is not taken for right.
    assert "versions-contiguous" not in findings
    assert "cannot be built" in findings["view-deployments"][0]["message"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("originator_version = 'abc'", "the version of the row is no number: 'abc'"),
        ("originator_id = 'zz'", "the stream of the row is no id: 'zz'"),
        ("originator_id = upper(originator_id)", "the stream of the row is no id: 'F0000000000040008000000000000002'"),
        ("state = 5", "its state is no text"),
    ],
)
def test_a_row_that_is_no_event_at_all_is_named(run: Run, tmp_path: Path, change: str, message: str) -> None:
    tamper(tmp_path / "events.db", f"UPDATE stored_events SET {change} WHERE rowid = 5")

    findings = found(run)

    assert findings["events-decode"][0]["where"] == "position 5"
    assert message in findings["events-decode"][0]["message"]
    assert "cannot be built" in findings["view-deployments"][0]["message"]


def test_a_missing_event_leaves_a_gap_that_is_found(run: Run, tmp_path: Path) -> None:
    tamper(
        tmp_path / "events.db",
        f"DELETE FROM stored_events WHERE originator_id = '{CHAT.hex}' AND originator_version = 3",
    )

    (finding,) = found(run)["versions-contiguous"]

    assert f"version 4 of stream {CHAT} where 3 comes next" in finding["message"]


def test_what_happened_after_the_end_is_found(run: Run, tmp_path: Path) -> None:
    copied = f"""INSERT INTO stored_events SELECT '{GONE.hex}', 13, topic, state FROM stored_events
                 WHERE topic = 'deployment.replica-count-set.v1' OR topic = 'deployment.ready.v1' LIMIT 1"""
    tamper(tmp_path / "events.db", copied)

    (finding,) = found(run)["lifecycle-rules"]

    assert "deployment.ready.v1 happened to a deployment that is destroyed" in finding["message"]


def test_a_cause_that_was_never_read_is_found(run: Run, tmp_path: Path) -> None:
    tamper(tmp_path / "events.db", "UPDATE positions SET next = 20 WHERE partition = 2")

    (finding,) = found(run)["causes-exist"]

    assert (
        "the cause is record routekeeper.commands/2@28 of epoch 1; of these only those before 20" in finding["message"]
    )


def test_an_operation_that_does_not_exist_is_no_cause(run: Run, tmp_path: Path) -> None:
    change = "CAST(replace(CAST(state AS TEXT), 'scale_deployment', 'make_magic') AS BLOB)"
    tamper(
        tmp_path / "events.db", f"UPDATE stored_events SET state = {change} WHERE topic = 'deployment.scaled-out.v1'"
    )

    assert "operation 'make_magic'" in found(run)["causes-exist"][0]["message"]


def test_a_command_with_two_effects_is_found(run: Run, tmp_path: Path) -> None:
    change = """CAST(replace(CAST(state AS TEXT), '"id":"ce-25"', '"id":"ce-21"') AS BLOB)"""
    tamper(
        tmp_path / "events.db", f"UPDATE stored_events SET state = {change} WHERE CAST(state AS TEXT) LIKE '%ce-25%'"
    )

    (finding,) = found(run)["one-outcome-per-command"]

    assert (
        "had an effect twice: by routekeeper.commands/1/2@21 and by routekeeper.commands/1/2@25" in finding["message"]
    )


def test_a_missing_outcome_is_found_unless_its_time_was_over(run: Run, tmp_path: Path) -> None:
    tamper(tmp_path / "events.db", "DELETE FROM command_outcomes WHERE id = 'ce-21'")
    (finding,) = found(run)["one-outcome-per-command"]
    assert "command 'ce-21' of '/tests' had an effect, but it has no outcome" in finding["message"]

    hour_ago = microseconds_of(datetime.now(UTC) - timedelta(hours=1))
    tamper(tmp_path / "events.db", f"INSERT INTO retention_horizons VALUES ('command_outcomes', {hour_ago})")
    report = json_of(run("audit", "verify", "--json"))

    assert report["ok"]
    assert "were deleted as retention has it" in report["checks"][5]["remark"]


def test_a_command_that_was_rejected_must_not_have_had_an_effect(run: Run, tmp_path: Path) -> None:
    tamper(tmp_path / "events.db", "UPDATE command_outcomes SET outcome = 'rejected' WHERE id = 'ce-21'")

    (finding,) = found(run)["one-outcome-per-command"]

    assert "its outcome is rejected" in finding["message"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            "UPDATE commits SET committed_at = committed_at - 3600000000 WHERE position = 9",
            "was committed 2026-03-01 11",
        ),
        ("UPDATE commits SET committed_at = committed_at + 3600000000", "and was committed 2026-03-01 13"),
        ("UPDATE commits SET committed_at = 5000000 - position WHERE position < 9", "was committed 1970-01-01"),
        (
            "UPDATE commits SET committed_at = 'never' WHERE position = 9",
            "the time of its commit at position 9 is none",
        ),
        ("DELETE FROM commits WHERE position > 9", "has no time of a commit"),
        ("INSERT INTO commits VALUES (4711, 8000000000000000)", "the log at position"),
        ("INSERT INTO commits VALUES (-5, 0)", "before the beginning of the log"),
        ("INSERT INTO commits VALUES (0, 0)", "before the beginning of the log"),
    ],
)
def test_times_of_commits_that_cannot_be_are_found(run: Run, tmp_path: Path, change: str, message: str) -> None:
    tamper(tmp_path / "events.db", change)

    findings = found(run)

    assert findings.keys() == {"commit-times"}
    assert any(message in finding["message"] for finding in findings["commit-times"]), findings


def test_a_later_verification_begins_where_the_last_one_ended(run: Run, tmp_path: Path) -> None:
    state = tmp_path / "state"
    assert found(run, "--state", str(state)) == {}
    with closing(Chronicle(tmp_path / "other")) as other:
        bring_up(other, CHAT, "chat")
    # What was looked at is not looked at again, which shows that it goes on.
    tamper(tmp_path / "events.db", "UPDATE stored_events SET topic = 'nonsense' WHERE rowid = 2")

    assert found(run, "--state", str(state)) == {}
    assert "events-decode" in found(run)


def test_a_log_without_tree_heads_is_said_to_be_held_against_none(run: Run) -> None:
    (heads,) = [check for check in json_of(run("audit", "verify", "--json"))["checks"] if check["skipped"]]

    assert heads["name"] == "heads"
    assert "no tree heads yet: tampering before now can't be ruled out" in heads["remark"]
    assert "no tree heads yet" in run("audit", "verify").stdout


def test_a_state_that_another_version_kept_is_begun_anew_and_said_to_be(run: Run, tmp_path: Path) -> None:
    state = tmp_path / "state"
    found(run, "--state", str(state))
    (file,) = state.glob("log-*.db")
    earlier = file.rename(file.with_stem(file.stem.rpartition("-")[0]))
    tamper(tmp_path / "events.db", "UPDATE stored_events SET topic = 'nonsense' WHERE rowid = 2")

    result = run("audit", "verify", "--state", str(state), "--json")

    assert "was kept by another version" in " ".join(result.stderr.split())
    assert not json.loads(result.stdout)["ok"]
    assert not earlier.exists()


def test_a_damaged_state_is_named_and_no_traceback(run: Run, tmp_path: Path) -> None:
    state = tmp_path / "state"
    found(run, "--state", str(state))
    for file in state.glob("log-*"):
        file.write_bytes(b"no database at all" * 1000)

    result = run("audit", "verify", "--state", str(state))

    assert result.exit_code == 1
    assert "cannot be gone on from" in " ".join(result.stderr.split())


def test_only_so_many_findings_are_told(run: Run, tmp_path: Path) -> None:
    tamper(tmp_path / "views.db", "DELETE FROM replicas")

    assert len(found(run, "--limit", "2")["view-deployments"]) == 2


def test_views_that_were_never_built_are_not_verified(run: Run, tmp_path: Path) -> None:
    (tmp_path / "views.db").unlink()

    missing = run("audit", "verify")

    assert missing.exit_code == 1
    assert "no views at" in missing.stderr
