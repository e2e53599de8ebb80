"""What views lack because its time was over: the past is told from the log, and verification knows."""

import asyncio
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from adapters.event_store.event_log import open_sqlite_log
from projections.catalogue import VIEWS
from projections.database import open_database
from projections.pruning import Pruner
from projections.runner import ProjectionRunner
from service.retention import RetentionSettings
from tests.chronicle import BEGINNING
from tests.cli_support import CHAT, Run, json_of, told

#: After all that happened.
LATER = BEGINNING + timedelta(minutes=5)
TO = ("--to", "2026-03-01T12:04:00Z")
PAST = [
    ("get", "deployments", "--all", "--at", "25"),
    ("get", "replicas", "chat", "--at", "2026-03-01T12:00:20Z"),
    ("get", "routes", "--all", "--at", "40"),
    ("describe", "deployment", "chat", "--at", "22"),
    ("explain", "chat"),
    ("timeline", "chat", *TO),
    ("diff", "--from", "1", "--to", "40"),
    ("history", "chat"),
]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return told(tmp_path)


def prune(data_dir: Path, before: datetime = LATER) -> None:
    """Delete what is from before a moment, as a worker does."""
    engine = open_database(f"sqlite:///{data_dir}/views.db")
    with closing(open_sqlite_log(data_dir / "events.db")) as log:
        runner = ProjectionRunner(engine, VIEWS, log, pruner=Pruner(lambda: before))

        async def go() -> None:
            await runner.catch_up()
            while await runner.prune():
                pass

        asyncio.run(go())
    engine.dispose()


def test_the_past_is_answered_as_before(run: Run, tmp_path: Path) -> None:
    before = [json_of(run(*command, "-o", "json")) for command in PAST]
    held = len(json_of(run("get", "replicas", "chat", "-o", "json")))

    prune(tmp_path)

    assert len(json_of(run("get", "replicas", "chat", "-o", "json"))) == 1 < held
    assert [json_of(run(*command, "-o", "json")) for command in PAST] == before


def test_a_description_keeps_the_last_decision(run: Run, tmp_path: Path) -> None:
    prune(tmp_path)

    described = json_of(run("describe", "deployment", "chat", "-o", "json"))

    assert [(row["previous"], row["desired"]) for row in described["decisions"]] == [(1, 3)]


@pytest.mark.parametrize(
    "command", [("get", "replicas", "chat"), ("get", "routes", "--all"), ("rejected",)], ids=lambda words: words[-1]
)
def test_who_asks_for_what_was_deleted_is_told_so(run: Run, tmp_path: Path, command: tuple[str, ...]) -> None:
    said = "from before 2026-03-01 12:05:00 UTC is not in the views any more"
    assert said not in run(*command).stderr

    prune(tmp_path)

    assert said in run(*command).stderr


def test_verification_knows_what_was_deleted(run: Run, tmp_path: Path) -> None:
    prune(tmp_path)

    report = json_of(run("audit", "verify", "--json"))

    remarks = {check["name"]: check["remark"] for check in report["checks"] if check["remark"] and not check["skipped"]}
    assert set(remarks) == {"view-deployments", "view-rejected_records"}
    assert (
        remarks["view-deployments"] == "old rows from before 2026-03-01 12:05:00 UTC were deleted as retention has it"
    )


@pytest.mark.parametrize(
    ("horizon", "message"),
    [("9998-01-01T00:00:00.000000+00:00", "retention keeps a day at least"), ("for ever", "no moment")],
)
def test_a_horizon_that_retention_did_not_set_is_found(run: Run, tmp_path: Path, horizon: str, message: str) -> None:
    """Or whoever deletes rows could have them taken for old by moving it."""
    prune(tmp_path)
    with closing(sqlite3.connect(tmp_path / "views.db")) as views, views:
        views.execute("UPDATE view_horizons SET before = ? WHERE view = 'deployments'", (horizon,))

    result = run("audit", "verify")

    assert result.exit_code == 1
    assert message in " ".join(result.stdout.split())


def test_views_are_kept_for_as_long_as_the_setting_says() -> None:
    settings = RetentionSettings(views_seconds=7 * 86_400)

    assert settings.views_from(LATER) == LATER - timedelta(days=7)


def test_a_deployment_stays_when_all_about_it_is_old(run: Run, tmp_path: Path) -> None:
    before = json_of(run("get", "deployments", "--all", "-o", "json"))

    prune(tmp_path)

    assert json_of(run("get", "deployments", "--all", "-o", "json")) == before
    assert any(row["id"] == str(CHAT) for row in before)
