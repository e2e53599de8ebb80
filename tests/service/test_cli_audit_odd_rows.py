"""`routekeeper audit verify` on rows that no code of Routekeeper writes: each is named, and nothing breaks."""

from pathlib import Path

import pytest

from tests.cli_support import CHAT, GONE, Run, told
from tests.service.test_cli_audit_verify import found, tamper

NEWEST = "WHERE position = (SELECT max(position) FROM replicas)"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return told(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (f"UPDATE replicas SET position = -5 {NEWEST}", "there is a row that the log does not come to"),
        (f"UPDATE replicas SET position = 'x' {NEWEST}", 'position "x"'),
        (f"UPDATE replicas SET at = 'garbage' {NEWEST}", 'at is "garbage", by the log "2026-03-01'),
        (f"UPDATE replicas SET at = 5 {NEWEST}", 'at is "5", by the log "2026-03-01'),
        ("UPDATE deployments SET id = x'ff00' WHERE name = 'search'", "there is a row that the log does not come to"),
        (
            "UPDATE view_positions SET position = 'x' WHERE view = 'deployments'",
            "position: Input should be a valid int",
        ),
    ],
)
def test_a_row_of_a_view_that_is_odd_is_named(run: Run, tmp_path: Path, change: str, message: str) -> None:
    tamper(tmp_path / "views.db", change)

    findings = found(run)["view-deployments"]

    assert any(message in finding["message"] for finding in findings), findings


def test_a_row_that_lies_below_all_others_changes_nothing(run: Run, tmp_path: Path) -> None:
    """SQLite's own number of a row of a view means nothing."""
    tamper(tmp_path / "views.db", f"UPDATE replicas SET rowid = -5 {NEWEST}")

    assert found(run) == {}


def test_an_event_before_the_beginning_of_the_log_is_found(run: Run, tmp_path: Path) -> None:
    """Whoever reads the log from its beginning does not see it, and whoever reads its stream does."""
    copied = f"""INSERT INTO stored_events (rowid, originator_id, originator_version, topic, state)
                 SELECT -7, '{GONE.hex}', 13, topic, state FROM stored_events WHERE rowid = 9"""
    tamper(tmp_path / "events.db", copied)

    ((finding,),) = found(run).values()

    assert finding["where"] == "position -7"
    assert f"event {GONE}:13: it stands before the beginning of the log" in finding["message"]


def test_what_is_found_of_every_view_is_told_once(run: Run, tmp_path: Path) -> None:
    tamper(tmp_path / "events.db", "UPDATE stored_events SET state = 'no JSON' WHERE rowid = 5")

    assert run("audit", "verify").stdout.count("the views cannot be built from this log") == 1


def test_what_is_found_of_many_rows_is_told_once_with_their_number(run: Run, tmp_path: Path) -> None:
    tamper(tmp_path / "views.db", "UPDATE replicas SET healthy = 77 WHERE healthy = 0")
    number = len(found(run)["view-deployments"])

    shown = run("audit", "verify").stdout

    assert shown.count("healthy is 77, by the log 0") == 1
    assert f"and {number - 1} more with the same message" in shown


def test_a_long_value_is_shown_where_it_differs(run: Run, tmp_path: Path) -> None:
    """Not from its beginning, which is the same on both sides."""
    changed = "replace(scaling_policy, '600', '601')"
    tamper(tmp_path / "views.db", f"UPDATE deployments SET scaling_policy = {changed} WHERE id = '{CHAT}'")

    ((finding,),) = found(run).values()

    stored, _, rebuilt = finding["message"].partition(", by the log ")
    assert "601" in stored
    assert "600" in rebuilt
    assert len(stored) < 200
