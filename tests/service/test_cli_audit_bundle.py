"""``routekeeper audit export`` and ``verify-bundle``: events for others, who have no database."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.audit_support import Auditor, auditor_with_a_head
from tests.cli_support import CHAT


@pytest.fixture
def auditor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Auditor:
    return auditor_with_a_head(tmp_path, monkeypatch)


@pytest.mark.parametrize("what", [["--deployment", str(CHAT)], ["--deployment", "chat"], ["--all"]])
def test_a_bundle_is_proven_without_the_database(
    auditor: Auditor, what: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    auditor.done("export", *what, auditor.bundle)
    monkeypatch.setenv("ROUTEKEEPER_DATA_DIR", str(tmp_path / "elsewhere"))

    answer = json.loads(
        auditor.done(
            "verify-bundle", auditor.bundle, "--public-key", auditor.key, "--heads", auditor.heads, "-o", "json"
        )
    )

    assert answer["ok"]
    assert answer["events"] == len(auditor.lines()) - 2 > 0


def test_a_bundle_of_all_proves_by_the_neighbours_of_its_range_that_none_is_missing(auditor: Auditor) -> None:
    auditor.done("export", "--all", "--from", "4", "--to", "6", auditor.bundle)

    held = [(line["kind"], line["decoded"]["position"]) for line in auditor.lines()[1:-1]]
    assert held == [("neighbour", 3), ("event", 4), ("event", 5), ("event", 6), ("neighbour", 7)]
    answer = json.loads(auditor.done("verify-bundle", auditor.bundle, "-o", "json"))
    assert answer["events"] == 3
    assert answer["proven"][1] == "no event between positions 4 and 6 is missing"
    assert [each.split(" of ")[0] for each in answer["not_proven"]] == ["anything"]


def test_a_bundle_of_one_deployment_cannot_prove_that_nothing_follows_and_says_so(auditor: Auditor) -> None:
    auditor.done("export", "--deployment", CHAT, auditor.bundle)
    last = auditor.lines()[-2]["decoded"]["position"]

    said = " ".join(auditor.done("verify-bundle", auditor.bundle).split())

    assert f"Proven: each of these {len(auditor.lines()) - 2} events is in the log" in said
    assert f"no event of the deployment between positions 1 and {last} is missing" in said
    assert f"Not proven: that there is no event of the deployment between positions {last + 1} and" in said


def test_a_part_of_a_deployment_is_whole_where_the_versions_around_it_are_there(auditor: Auditor) -> None:
    auditor.done("export", "--deployment", CHAT, auditor.bundle)
    third = auditor.lines()[3]["decoded"]["position"]
    auditor.done("export", "--deployment", CHAT, "--from", third, "--to", third, auditor.bundle)

    answer = json.loads(auditor.done("verify-bundle", auditor.bundle, "-o", "json"))

    assert [line["decoded"]["version"] for line in auditor.lines()[1:-1]] == [2, 3, 4]
    assert answer["proven"][1] == f"no event of the deployment between positions {third} and {third} is missing"


@pytest.mark.parametrize(("line", "said"), [(1, "is missing before leaf"), (-2, "are missing at the end")])
def test_a_bundle_of_which_a_neighbour_was_taken_away_is_not_whole(auditor: Auditor, line: int, said: str) -> None:
    auditor.done("export", "--all", "--from", "4", "--to", "6", auditor.bundle)
    lines = auditor.lines()
    del lines[line]
    auditor.rewrite(lines)

    assert said in " ".join(auditor.run("verify-bundle", auditor.bundle).stdout.split())


def test_a_bundle_of_the_first_format_is_still_read_and_proves_less(auditor: Auditor) -> None:
    auditor.done("export", "--all", "--from", "4", "--to", "6", auditor.bundle)
    lines = [line for line in auditor.lines() if line["kind"] != "neighbour"]
    lines[0]["format"] = "routekeeper-audit-bundle/1"
    lines[0] |= {"from_position": 3, "to_position": 7}
    auditor.rewrite(lines)

    answer = json.loads(auditor.done("verify-bundle", auditor.bundle, "-o", "json"))

    assert answer["proven"][1] == "no event between positions 4 and 6 is missing"
    assert answer["not_proven"][:2] == [
        "that there is no event between positions 3 and 3",
        "that there is no event between positions 7 and 7",
    ]


def other_decoded(lines: list[dict[str, Any]]) -> None:
    lines[3]["decoded"]["state"]["event"]["at"] = "2020-01-01T00:00:00Z"


def other_data(lines: list[dict[str, Any]]) -> None:
    lines[3]["data"], lines[3]["decoded"] = lines[4]["data"], lines[4]["decoded"]


def one_missing(lines: list[dict[str, Any]]) -> None:
    del lines[3]
    lines[-1]["events"] -= 1


def end_missing(lines: list[dict[str, Any]]) -> None:
    del lines[-1]


def header_missing(lines: list[dict[str, Any]]) -> None:
    del lines[0]


def two_exchanged(lines: list[dict[str, Any]]) -> None:
    lines[3], lines[4] = lines[4], lines[3]


def number_for_true(lines: list[dict[str, Any]]) -> None:
    lines[3]["decoded"]["version"] = float(lines[3]["decoded"]["version"])


def a_word_more(lines: list[dict[str, Any]]) -> None:
    lines[3]["remark"] = "all is well"


@pytest.mark.parametrize(
    ("tamper", "line", "said"),
    [
        (other_decoded, 4, "what is decoded is not what the data say"),
        (other_data, 4, "is not leaf"),
        (one_missing, 4, "version 3 is missing before version 4"),
        (end_missing, None, "the end is missing"),
        (header_missing, 1, "must be the header"),
        (two_exchanged, 5, "stands behind"),
        (number_for_true, 4, "what is decoded is not what the data say"),
        (a_word_more, 4, "remark"),
    ],
)
def test_a_bundle_that_was_tampered_with_names_line_and_event(
    auditor: Auditor,
    tamper: Callable[[list[dict[str, Any]]], None],
    line: int | None,
    said: str,
) -> None:
    auditor.done("export", "--deployment", CHAT, auditor.bundle)
    lines = auditor.lines()
    tamper(lines)
    auditor.rewrite(lines)

    result = auditor.run("verify-bundle", auditor.bundle, "-o", "json")

    errors = json.loads(result.stdout)["errors"]
    assert result.exit_code == 1
    assert any(said in each["error"] and each["line"] == (line or each["line"]) for each in errors), errors


@pytest.mark.parametrize(("field", "value"), [("root", "0" * 64), ("position", 4711), ("at", "2020-01-01T00:00:00Z")])
def test_a_bundle_with_a_head_of_its_own_is_not_believed(auditor: Auditor, field: str, value: object) -> None:
    auditor.done("export", "--all", auditor.bundle)
    lines = auditor.lines()
    lines[0]["head"][field] = value
    auditor.rewrite(lines)

    known = auditor.run("verify-bundle", auditor.bundle, "--heads", auditor.heads)
    signed = auditor.run("verify-bundle", auditor.bundle, "--public-key", auditor.key)

    assert "is none of those that are known" in known.stdout
    assert "is not signed with this key" in signed.stdout


def test_an_event_that_the_head_does_not_prove_is_not_exported(auditor: Auditor) -> None:
    auditor.change("UPDATE stored_events SET state = 'x' WHERE rowid = 2")

    result = auditor.run("export", "--all", auditor.bundle)

    assert result.exit_code == 1
    assert "position 2 is not what it was" in result.stderr
    assert not auditor.bundle.exists()


@pytest.mark.parametrize("options", [[], ["--all", "--deployment", "chat"]])
def test_an_export_is_of_one_deployment_or_of_all(auditor: Auditor, options: list[str]) -> None:
    assert auditor.run("export", *options, auditor.bundle).exit_code == 2
