"""``routekeeper audit``: heads kept elsewhere, a log held against them, and bundles that need no database."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from typer.testing import CliRunner, Result

from service.cli.app import app
from tests.chronicle import Chronicle
from tests.cli_support import CHAT, live_through


class Auditor:
    """Runs commands on the log of one data folder, with a signing key."""

    def __init__(self, folder: Path) -> None:
        self.log_file = folder / "events.db"
        self.heads = folder / "heads.jsonl"
        self.key = folder / "audit.pub"
        self.bundle = folder / "bundle.jsonl"

    def run(self, *arguments: object) -> Result:
        return CliRunner().invoke(app, ["audit", *map(str, arguments)], env={"COLUMNS": "200"})

    def done(self, *arguments: object) -> str:
        result = self.run(*arguments)
        assert result.exit_code == 0, result.output
        return result.stdout

    def change(self, statement: str) -> None:
        with closing(sqlite3.connect(self.log_file)) as connection, connection:
            connection.execute(statement)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.bundle.read_text().splitlines()]

    def rewrite(self, lines: list[dict[str, Any]]) -> None:
        self.bundle.write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.fixture
def auditor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Auditor:
    """A history with a signed head that is kept elsewhere."""
    key = Ed25519PrivateKey.generate()
    (tmp_path / "audit.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    monkeypatch.setenv("ROUTEKEEPER_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("ROUTEKEEPER_AUDIT__SIGNING_KEY_FILE", str(tmp_path / "audit.pem"))
    with closing(Chronicle(tmp_path)) as chronicle:
        live_through(chronicle)
    auditor = Auditor(tmp_path)
    auditor.done("heads", "--now", "--out", auditor.heads)
    auditor.key.write_text(auditor.done("key"))
    return auditor


def test_an_untouched_log_is_proven_against_signed_heads(auditor: Auditor) -> None:
    answer = json.loads(auditor.done("verify", "--heads", auditor.heads, "--public-key", auditor.key, "-o", "json"))

    assert answer["ok"]
    assert [check["name"] for check in answer["checks"]][:3] == ["heads", "log", "tree"]
    assert all(check["ok"] for check in answer["checks"])


def test_heads_prove_a_log_of_which_there_are_no_views(auditor: Auditor) -> None:
    (auditor.log_file.parent / "views.db").unlink()

    answer = json.loads(auditor.done("verify", "--heads", auditor.heads, "--json"))

    assert answer["checks"][-1]["name"] == "views"
    assert "skipped: no views at" in answer["checks"][-1]["remark"]
    assert auditor.run("verify").exit_code == 1


def test_an_altered_event_is_named_and_the_exit_code_is_one(auditor: Auditor) -> None:
    auditor.change("UPDATE stored_events SET state = replace(CAST(state AS TEXT), 'chat', 'chef') WHERE rowid = 2")
    auditor.change("UPDATE stored_events SET state = CAST(CAST(state AS TEXT) || ' ' AS BLOB) WHERE rowid = 3")

    result = auditor.run("verify", "--heads", auditor.heads, "-o", "json")

    differences = json.loads(result.stdout)["checks"][1]["findings"]
    assert result.exit_code == 1
    assert 3 in [each["first"] for each in differences]
    assert {each["kind"] for each in differences} == {"altered"}
    assert "altered" in auditor.run("verify", "--heads", auditor.heads).stdout


def test_what_heads_prove_is_told_also_if_the_rest_fails(auditor: Auditor, tmp_path: Path) -> None:
    auditor.change("UPDATE stored_events SET state = CAST('{}' AS BLOB) WHERE rowid = 2")
    (tmp_path / "views.db").unlink(missing_ok=True)

    result = auditor.run("verify")

    assert result.exit_code == 1
    assert "altered, position 2" in result.stdout
    assert "no views at" in result.stderr


@pytest.mark.parametrize("change", ["at = 9223372036854775807", "at = 'abc'", "root = 5"])
def test_a_stored_head_that_is_none_is_a_finding(auditor: Auditor, change: str) -> None:
    auditor.change(f"UPDATE tree_heads SET {change}")

    result = auditor.run("verify", "--heads", auditor.heads)
    stored = auditor.run("verify")

    assert result.exit_code == 0, result.output
    assert stored.exit_code == 1
    assert "the stored tree head of size" in stored.stdout


def test_a_stored_tree_that_was_emptied_is_a_finding(auditor: Auditor) -> None:
    auditor.change("DELETE FROM tree_tiles")

    result = auditor.run("verify", "--heads", auditor.heads)

    assert result.exit_code == 1
    assert "the stored tree lacks" in result.stdout


def test_heads_are_written_once_for_the_same_log_and_shown(auditor: Auditor) -> None:
    auditor.done("heads", "--now")

    [head] = json.loads(auditor.done("heads", "-o", "json"))

    assert json.loads(auditor.heads.read_text()) == head
    assert head["root"] in auditor.done("heads")


@pytest.mark.parametrize(("change", "kind"), [("size", "not-signed"), ("signature", "not-signed")])
def test_heads_that_are_not_signed_with_the_key_are_found(auditor: Auditor, change: str, kind: str) -> None:
    head = json.loads(auditor.heads.read_text())
    head |= {"size": head["size"] - 1} if change == "size" else {"signature": None}
    auditor.heads.write_text(json.dumps(head))

    result = auditor.run("verify", "--heads", auditor.heads, "--public-key", auditor.key, "-o", "json")

    assert result.exit_code == 1
    assert json.loads(result.stdout)["checks"][0]["findings"][0]["kind"] == kind


@pytest.mark.parametrize(
    ("content", "said"), [("", "holds no tree head"), ('{"size": 1}', "line 1: position"), ("x", "line 1")]
)
def test_a_file_that_holds_no_heads_is_refused_with_its_line(auditor: Auditor, content: str, said: str) -> None:
    auditor.heads.write_text(content)

    result = auditor.run("verify", "--heads", auditor.heads)

    assert result.exit_code == 1
    assert said in result.stderr


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


def test_a_bundle_holds_only_the_positions_that_were_asked_for(auditor: Auditor) -> None:
    auditor.done("export", "--all", "--from", "4", "--to", "6", auditor.bundle)

    assert [line["decoded"]["position"] for line in auditor.lines()[1:-1]] == [4, 5, 6]
    assert "All is as it says" in auditor.done("verify-bundle", auditor.bundle)


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


def test_without_a_signing_key_there_is_no_public_one(auditor: Auditor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROUTEKEEPER_AUDIT__SIGNING_KEY_FILE")

    assert "SIGNING_KEY_FILE is unset" in auditor.run("key").stderr


def test_a_file_that_holds_another_key_is_refused(auditor: Auditor) -> None:
    auditor.key.write_text("not a key")

    result = auditor.run("verify", "--heads", auditor.heads, "--public-key", auditor.key)

    assert result.exit_code == 1
    assert f"{auditor.key} holds no public key" in result.stderr


def test_where_there_is_no_log_it_says_so(auditor: Auditor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ROUTEKEEPER_DATA_DIR", str(tmp_path / "elsewhere"))

    assert "no event log" in auditor.run("verify").stderr
