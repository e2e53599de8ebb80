"""Time travel and verification with everything in PostgreSQL."""

import asyncio
import json
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from projections.catalogue import VIEWS
from projections.runner import ProjectionRunner
from service.settings import Settings
from service.stores import stores_of
from tests.cli_support import CHAT, Run, json_of, runner_for, told
from tests.service.test_cli_audit_verify import found

OUTCOMES = "one-outcome-per-command"


@pytest.fixture
def embedded(tmp_path: Path) -> Run:
    """The command line on SQLite files."""
    return told(tmp_path)


@pytest.fixture
def run(embedded: Run, tmp_path: Path, postgres_database: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command line on a database with the same log, and views of its own."""
    run = runner_for(tmp_path, ROUTEKEEPER_DATABASE__URL=postgres_database)
    copied = run("copy-log", str(tmp_path / "events.db"), postgres_database)
    assert copied.exit_code == 0, copied.stderr
    monkeypatch.setenv("ROUTEKEEPER_DATABASE__URL", postgres_database)
    stores = stores_of(Settings(data_dir=tmp_path))
    views = stores.open_views()
    with closing(stores.open_log()) as log:
        asyncio.run(ProjectionRunner(views, VIEWS, log).catch_up())
    views.dispose()
    return run


@pytest.mark.parametrize(
    "question",
    [
        ("get", "deployments", "--all", "--at", "20"),
        ("get", "routes", "-d", "chat", "--at", "20"),
        ("describe", "deployment", "chat", "--at", "22"),
        ("diff", "--from", "13", "--to", "41"),
        ("timeline", "chat", "--to", "2026-03-01T12:01:00Z"),
    ],
    ids=lambda question: question[0],
)
def test_the_past_is_the_same_in_both_stores(embedded: Run, run: Run, question: tuple[str, ...]) -> None:
    assert json_of(run(*question, "-o", "json")) == json_of(embedded(*question, "-o", "json"))


def test_a_log_and_views_that_are_whole_pass_and_what_was_altered_is_found(run: Run, postgres_database: str) -> None:
    assert json_of(run("audit", "verify", "--json"))["ok"]
    with psycopg.connect(postgres_database) as connection:
        connection.execute("UPDATE routekeeper_views.deployments SET owner = 'me' WHERE id = %s", [str(CHAT)])
        connection.execute("DELETE FROM routekeeper.command_outcomes WHERE id = 'ce-21'")
        connection.execute(
            "UPDATE routekeeper.stored_events SET originator_version = 99 WHERE notification_id = "
            "(SELECT max(notification_id) FROM routekeeper.stored_events WHERE originator_id = %s)",
            [CHAT],
        )

    result = run("audit", "verify")

    assert result.exit_code == 1
    assert 'owner is "me", by the log' in result.stdout
    assert "command 'ce-21' of '/tests' had an effect, but it has no outcome" in result.stdout
    assert f"version 99 of stream {CHAT} where" in result.stdout


def test_heads_prove_what_they_can_where_the_tables_of_the_tree_are_gone(
    run: Run, postgres_database: str, tmp_path: Path
) -> None:
    heads = tmp_path / "heads.jsonl"
    assert run("audit", "heads", "--now", "--out", str(heads)).exit_code == 0
    with psycopg.connect(postgres_database) as connection:
        connection.execute("DROP TABLE routekeeper.tree_heads, routekeeper.tree_tiles")
        connection.execute("UPDATE routekeeper.stored_events SET topic = 'another.v1' WHERE notification_id = 3")

    result = run("audit", "verify", "--heads", str(heads), "--json")

    checks = {check["name"]: check["findings"] for check in json.loads(result.stdout)["checks"]}
    assert result.exit_code == 1
    assert [each["kind"] for each in checks["log"]] == ["differs-between-heads"]
    assert "events-decode" in checks, result.stderr


def test_a_commit_before_the_beginning_of_the_log_is_found(run: Run, postgres_database: str) -> None:
    with psycopg.connect(postgres_database) as connection:
        connection.execute("INSERT INTO routekeeper.commits VALUES (-5, '2020-01-01Z')")

    ((finding,),) = found(run).values()

    assert finding["where"] == "position -5"


def test_damaged_tables_of_postgresql_are_found(run: Run, postgres_database: str) -> None:
    with psycopg.connect(postgres_database) as connection:
        connection.execute("UPDATE routekeeper.command_outcomes SET outcome = 'weird'")
        connection.execute("INSERT INTO routekeeper.retention_horizons VALUES ('command_outcomes', 'infinity')")
        connection.execute("UPDATE routekeeper.commits SET committed_at = 'infinity'")
        connection.execute("ALTER TABLE routekeeper.positions DROP COLUMN digest")
        connection.execute("DROP TABLE routekeeper_views.routes")

    findings = found(run)

    assert findings.keys() == {OUTCOMES, "causes-exist", "commit-times", "view-deployments"}
    assert "retention_horizons: timestamp too large" in findings[OUTCOMES][0]["message"]
    assert "'weird' is not a valid Outcome" in findings[OUTCOMES][1]["message"]
    assert "column" in findings["causes-exist"][0]["message"]
    assert 'relation "routes" does not exist' in findings["view-deployments"][0]["message"]
