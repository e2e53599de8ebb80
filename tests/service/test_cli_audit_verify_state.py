"""`routekeeper audit verify --state`: places at which nothing can be kept."""

from pathlib import Path

import pytest

from tests.cli_support import Run, told


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return told(tmp_path)


@pytest.mark.parametrize("place", ["/dev/null/state", "/proc/state", "/sys"])
def test_a_place_where_no_state_can_be_kept_is_named_and_no_traceback(run: Run, place: str) -> None:
    result = run("audit", "verify", "--state", place)

    assert result.exit_code == 1
    assert place in result.stderr
    assert "Traceback" not in result.stderr
    assert isinstance(result.exception, SystemExit)
