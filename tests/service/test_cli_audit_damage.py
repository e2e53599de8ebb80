"""`routekeeper audit verify` on damaged tables: each is a finding of its own check, and all others are carried out."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from adapters.event_store.instants import microseconds_of
from tests.cli_support import Run, told
from tests.service.test_cli_audit_verify import found, tamper

OUTCOMES, CAUSES, COMMITS = "one-outcome-per-command", "causes-exist", "commit-times"
LAST_MOMENT = datetime.max.replace(tzinfo=UTC)
GARBAGE = b"no database at all" * 1000


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return told(tmp_path)


@pytest.mark.parametrize(
    ("change", "check", "message"),
    [
        ("UPDATE command_outcomes SET outcome = 'weird'", OUTCOMES, "command_outcomes: 'weird' is not a valid Outcome"),
        (
            "INSERT INTO retention_horizons VALUES ('command_outcomes', 'abc')",
            OUTCOMES,
            "retention_horizons: 'abc' is no moment",
        ),
        ("INSERT INTO retention_horizons VALUES ('weird', 5)", OUTCOMES, "'weird' is not a valid Retained"),
        ("UPDATE positions SET next = 'x'", CAUSES, "positions: 'x' is no offset"),
        ("DROP TABLE command_outcomes", OUTCOMES, "no such table: command_outcomes"),
        ("DROP TABLE retention_horizons", OUTCOMES, "no such table: retention_horizons"),
        ("DROP TABLE positions", CAUSES, "no such table: positions"),
        ("DROP TABLE commits", COMMITS, "no such table: commits"),
    ],
)
def test_a_damaged_table_beside_the_log_is_found(
    run: Run, tmp_path: Path, change: str, check: str, message: str
) -> None:
    tamper(tmp_path / "events.db", change)

    findings = found(run)

    assert findings.keys() == {check}
    assert any(message in finding["message"] for finding in findings[check]), findings


def test_missing_outcomes_are_told_though_the_horizons_cannot_be_read(run: Run, tmp_path: Path) -> None:
    missing = "DELETE FROM command_outcomes WHERE id = 'ce-21'"
    tamper(tmp_path / "events.db", missing, "INSERT INTO retention_horizons VALUES ('weird', 5)")

    first, second = found(run)[OUTCOMES]

    assert "'weird' is not a valid Retained" in first["message"]
    assert "'ce-21' of '/tests' had an effect, but it has no outcome" in second["message"]


@pytest.mark.parametrize(
    ("change", "message"),
    [("DROP TABLE routes", "no such table: routes"), ("ALTER TABLE routes DROP COLUMN revision_id", "no such column")],
)
def test_a_damaged_table_of_a_view_is_found(run: Run, tmp_path: Path, change: str, message: str) -> None:
    tamper(tmp_path / "views.db", change)

    ((view, (finding,)),) = found(run).items()

    assert view == "view-deployments"
    assert f"cannot be read: {message}" in finding["message"]


@pytest.mark.parametrize("damage", ["garbage", "DROP TABLE view_positions"])
def test_damaged_views_are_found_and_the_log_is_verified(run: Run, tmp_path: Path, damage: str) -> None:
    if damage == "garbage":
        (tmp_path / "views.db").write_bytes(GARBAGE)
    else:
        tamper(tmp_path / "views.db", damage)
    tamper(tmp_path / "events.db", "DELETE FROM command_outcomes WHERE id = 'ce-21'")

    findings = found(run)

    assert OUTCOMES in findings
    assert {"file is not a database", "no such table: view_positions"} & {
        finding["message"].partition(": ")[2] for finding in findings["view-deployments"]
    }


@pytest.mark.parametrize(
    "horizon", [datetime.now(UTC) - timedelta(minutes=30), datetime(2500, 1, 1, tzinfo=UTC), LAST_MOMENT]
)
def test_a_horizon_of_outcomes_that_retention_cannot_have_set_is_found(
    run: Run, tmp_path: Path, horizon: datetime
) -> None:
    """Or whoever deletes outcomes could have them taken for old."""
    planted = f"INSERT INTO retention_horizons VALUES ('command_outcomes', {microseconds_of(horizon)})"
    tamper(tmp_path / "events.db", "DELETE FROM command_outcomes", planted)

    findings = found(run)

    assert findings.keys() == {OUTCOMES}
    assert "retention keeps an hour at least" in findings[OUTCOMES][0]["message"]
