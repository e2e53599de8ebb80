"""`routekeeper timeline`, and the plots that it draws."""

import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.cli_support import CHAT, Run, json_of, told

TO = ("--to", "2026-03-01T12:01:00Z")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return told(tmp_path)


class Page(HTMLParser):
    """What a page is made of: its tags, and addresses that it would load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loaded: list[str | None] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loaded += [value for name, value in attrs if name in {"src", "href"}]


def test_the_help_names_the_extra_that_pictures_need(tmp_path: Path) -> None:
    assert "routekeeper[plots]" in told(tmp_path)("timeline", "--help").stdout


def test_programs_get_the_numbers_and_the_decisions_in_order(run: Run) -> None:
    found = json_of(run("timeline", "chat", *TO, "-o", "json"))

    assert found["deployment_id"] == str(CHAT)
    assert [row["position"] for row in found["counts"]] == sorted(row["position"] for row in found["counts"])
    assert [row["target"] for row in found["counts"]][-1] == 3
    assert [(row["previous"], row["desired"]) for row in found["decisions"]] == [(1, 3)]


def test_a_time_begins_with_the_numbers_that_it_finds(run: Run) -> None:
    found = json_of(run("timeline", "chat", "--from", "2026-03-01T12:00:30Z", *TO, "-o", "json"))

    assert [row["target"] for row in found["counts"]] == [3]
    assert found["counts"][0]["at"] < found["begin"]
    assert found["decisions"] == []


def test_people_see_lines_marks_and_what_was_decided(run: Run) -> None:
    shown = run("timeline", "chat", *TO, columns=100).stdout

    assert "─ desired   ▪ active   █ healthy" in shown
    assert "▲" in shown
    assert "rule busy saw the replicas' mean gpu_util" in shown
    assert max(len(line) for line in shown.splitlines()) <= 100


def test_a_page_holds_all_that_it_shows(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "chat.html"

    wrote = run("timeline", "chat", *TO, "--html", str(file))

    assert (wrote.stdout, wrote.stderr) == ("", f"wrote {file}\n")
    page = Page(file.read_text())
    assert page.loaded == []
    assert page.tags.count("polyline") == 3
    assert page.tags.count("polygon") == 1
    assert "script" not in page.tags


def test_a_picture_is_one(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    file = tmp_path / "chat.png"

    assert run("timeline", "chat", *TO, "--png", str(file)).exit_code == 0

    assert file.read_bytes().startswith(b"\x89PNG")


def test_without_the_extra_a_picture_names_it(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)

    refused = run("timeline", "chat", *TO, "--png", str(tmp_path / "chat.png"))

    assert refused.exit_code == 1
    assert "pip install 'routekeeper[plots]'" in refused.stderr


@pytest.mark.parametrize("option", ["--html", "--png"])
def test_a_file_that_cannot_be_written_is_named(run: Run, tmp_path: Path, option: str) -> None:
    refused = run("timeline", "chat", *TO, option, str(tmp_path / "nowhere" / "file"))

    assert refused.exit_code == 1
    assert f"error: {option} {tmp_path}/nowhere/file: No such file or directory" in refused.stderr


def test_a_time_does_not_end_before_it_begins(run: Run) -> None:
    refused = run("timeline", "chat", "--from", "2026-03-02", *TO)
    before_it_was = run("timeline", "chat", "--to", "2026-02-01")

    assert (refused.exit_code, before_it_was.exit_code) == (2, 2)
    assert "--to 2026-03-01 12:01:00 UTC is before --from 2026-03-02 00:00:00 UTC" in refused.stderr
    assert "--to 2026-02-01 00:00:00 is not after its creation" in before_it_was.stderr
