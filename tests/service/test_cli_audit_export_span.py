"""Which span of the log `routekeeper audit export` takes."""

from pathlib import Path

import pytest

from tests.cli_support import Run, told


@pytest.fixture
def run(tmp_path: Path) -> Run:
    run = told(tmp_path)
    assert run("audit", "heads", "--now").exit_code == 0
    return run


@pytest.mark.parametrize(
    ("begin", "end", "said"),
    [
        ("9", "5", "--to position 5 is before --from position 9"),
        ("2026-03-02", "2026-03-01", "--to 2026-03-01 00:00:00 UTC is before --from 2026-03-02 00:00:00 UTC"),
        ("40", "2026-03-01T12:00:05Z", "--to 2026-03-01 12:00:05 UTC is before --from position 40"),
        ("2026-03-01T12:00:30Z", "4", "--to position 4 is before --from 2026-03-01 12:00:30 UTC"),
    ],
)
def test_a_span_does_not_end_before_it_begins(run: Run, tmp_path: Path, begin: str, end: str, said: str) -> None:
    file = tmp_path / "bundle.jsonl"

    refused = run("audit", "export", "--all", "--from", begin, "--to", end, str(file))

    assert refused.exit_code == 2
    assert said in refused.stderr
    assert not file.exists()


def test_a_span_in_which_nothing_happened_is_empty(run: Run, tmp_path: Path) -> None:
    file = str(tmp_path / "bundle.jsonl")

    exported = run("audit", "export", "--all", "--from", "2026-01-01", "--to", "2026-01-02", file)

    assert (exported.exit_code, exported.stderr.startswith("0 events")) == (0, True)
    assert run("audit", "verify-bundle", file).exit_code == 0


def test_a_span_from_the_earliest_moment_there_is_has_all_events(run: Run, tmp_path: Path) -> None:
    everything, since_ever = tmp_path / "all.jsonl", tmp_path / "ever.jsonl"
    assert run("audit", "export", "--all", str(everything)).exit_code == 0

    exported = run("audit", "export", "--all", "--from", "0001-01-01", str(since_ever))

    assert exported.exit_code == 0, exported.stderr
    assert since_ever.read_text() == everything.read_text()
