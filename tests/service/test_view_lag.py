"""Where live views are in the log: not past its end, and not behind it for good."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from adapters.event_store.event_log import RecorderEventLog
from projections.catalogue import VIEWS
from projections.database import open_database
from projections.placement import find_view_positions, rebuild
from projections.runner import ProjectionRunner
from service.checks import Check
from service.settings import Settings
from service.stores import stores_of
from service.view_checks import view_check
from service.view_lag import held_against_end
from tests.chronicle import Chronicle
from tests.cli_support import CHAT, Run, bring_up, told
from tests.service.test_cli_audit_verify import found, tamper

#: Long enough to be there in any case.
SECONDS = 600


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return told(tmp_path)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[RecorderEventLog]:
    """A log with a deployment in it."""
    with closing(Chronicle(tmp_path)) as chronicle:
        bring_up(chronicle, CHAT, "chat")
    with closing(stores_of(Settings(data_dir=tmp_path)).open_log()) as log:
        yield log


@pytest.fixture(params=["sqlite", "postgres"])
def views(request: pytest.FixtureRequest, log: RecorderEventLog, tmp_path: Path) -> Iterator[Engine]:
    """The views of that log, at its end."""
    url = request.getfixturevalue("postgres_database") if request.param == "postgres" else f"sqlite:///{tmp_path}/v.db"
    engine = open_database(url)
    asyncio.run(ProjectionRunner(engine, VIEWS, log).catch_up())
    yield engine
    engine.dispose()


class LogOfALiveSystem:
    """What others do while a verification reads where the log ends."""

    def __init__(self, log: RecorderEventLog, meanwhile: Callable[[], Any]) -> None:
        self._log = log
        self._meanwhile = meanwhile

    async def head(self) -> int:
        await self._meanwhile()
        return await self._log.head()


def checked(log: RecorderEventLog | LogOfALiveSystem, views: Engine, within: float = 0) -> list[Check]:
    passed = [view_check(view, ()) for view in VIEWS]
    return [*asyncio.run(held_against_end(log, passed, live=views, within=within))]


def test_views_at_the_end_of_the_log_have_nothing_said_of_them(log: RecorderEventLog, views: Engine) -> None:
    assert all(check.ok and not check.remark for check in checked(log, views, within=SECONDS))


def test_a_position_past_the_end_of_the_log_is_found(log: RecorderEventLog, views: Engine) -> None:
    end = asyncio.run(log.head())
    with views.begin() as connection:
        connection.execute(text("UPDATE view_positions SET position = :at WHERE view = 'control'"), {"at": end + 10})

    (check,) = [check for check in checked(log, views, within=SECONDS) if not check.ok]

    assert check.name == "view-control"
    (finding,) = check.findings
    assert (finding.kind, finding.first, finding.last) == ("ahead", end + 1, end + 10)


def test_views_that_stay_behind_are_found(log: RecorderEventLog, views: Engine) -> None:
    end = asyncio.run(log.head())
    for view in VIEWS:
        rebuild(views, view)

    findings = [finding for check in checked(log, views) for finding in check.findings]

    assert len(findings) == len(VIEWS)
    assert {(each.kind, each.first, each.last) for each in findings} == {("behind", 1, end)}


def test_views_that_are_being_folded_are_only_said_to_be_behind(log: RecorderEventLog, views: Engine) -> None:
    for view in VIEWS:
        rebuild(views, view)
    live = LogOfALiveSystem(log, ProjectionRunner(views, VIEWS, log, batch_size=1).step)

    checks = checked(live, views, within=SECONDS)

    assert all(check.ok and check.remark.endswith("it is catching up") for check in checks), checks


def test_a_view_that_is_built_anew_beside_the_live_one_is_no_finding(log: RecorderEventLog, views: Engine) -> None:
    """Whose position stands still until the other one takes its place."""
    with views.begin() as connection:
        connection.execute(text("UPDATE view_positions SET position = position - 1"))
        copied = "SELECT view, version + 1, 0, NOT live, tables FROM view_positions"
        connection.execute(text(f"INSERT INTO view_positions (view, version, position, live, tables) {copied}"))

    async def build_on() -> None:
        with views.begin() as connection:
            connection.execute(text("UPDATE view_positions SET position = 2 WHERE NOT live"))

    assert all(check.ok for check in checked(LogOfALiveSystem(log, build_on), views, within=SECONDS))
    with views.connect() as connection:
        assert len(find_view_positions(connection)) == 2 * len(VIEWS)


def test_emptied_views_do_not_pass_a_verification(run: Run, tmp_path: Path) -> None:
    """Not even if they are said to be at the log's beginning."""
    with closing(sqlite3.connect(tmp_path / "views.db")) as connection, connection:
        for table in (table for view in VIEWS for table in view.tables):
            connection.execute(f"DELETE FROM {table.name}")
        connection.execute("UPDATE view_positions SET position = 0")

    findings = found(run)

    assert findings.keys() == {f"view-{view.name}" for view in VIEWS}
    assert "has not moved" in findings["view-deployments"][0]["message"]


@pytest.mark.parametrize("position", [4711, 2**62])
def test_views_past_the_end_do_not_pass_a_verification(run: Run, tmp_path: Path, position: int) -> None:
    tamper(tmp_path / "views.db", f"UPDATE view_positions SET position = {position}")

    findings = found(run)

    assert findings.keys() == {f"view-{view.name}" for view in VIEWS}
    assert "what comes next in the log will be missing" in findings["view-deployments"][0]["message"]


def test_a_view_that_was_begun_anew_since_the_state_was_kept_is_compared(run: Run, tmp_path: Path) -> None:
    """Though the state is past it."""
    state = str(tmp_path / "state")
    assert found(run, "--state", state) == {}
    engine = open_database(f"sqlite:///{tmp_path}/views.db")
    for view in VIEWS:
        rebuild(engine, view)
    engine.dispose()

    kinds = {finding["kind"] for findings in found(run, "--state", state).values() for finding in findings}

    assert kinds == {"behind"}
