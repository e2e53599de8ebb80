"""``routekeeper audit``: heads kept elsewhere, and a log held against them."""

import json
from pathlib import Path

import pytest

from tests.audit_support import Auditor, auditor_with_a_head


@pytest.fixture
def auditor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Auditor:
    return auditor_with_a_head(tmp_path, monkeypatch)


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


@pytest.mark.parametrize("change", ["at = 9223372036854775807", "at = 'abc'", "root = 5", "size = -5"])
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


def test_heads_prove_what_they_can_where_the_tables_of_the_tree_are_gone(auditor: Auditor) -> None:
    auditor.change("UPDATE stored_events SET state = CAST(CAST(state AS TEXT) || ' ' AS BLOB) WHERE rowid = 3")
    auditor.change("DROP TABLE tree_heads")
    auditor.change("DROP TABLE tree_tiles")

    result = auditor.run("verify", "--heads", auditor.heads, "--json")

    checks = {check["name"]: check for check in json.loads(result.stdout)["checks"]}
    assert result.exit_code == 1
    assert [each["kind"] for each in checks["log"]["findings"]] == ["differs-between-heads"]
    assert checks["events-decode"]["ok"]


def test_heads_prove_what_they_can_where_a_table_of_the_tree_has_another_shape(auditor: Auditor) -> None:
    for table, column in (("tree_heads", "root"), ("tree_tiles", "hashes")):
        auditor.change(f"ALTER TABLE {table} RENAME COLUMN {column} TO gone")

    given, stored = (
        json.loads(auditor.run("verify", "--json", *how).stdout) for how in (("--heads", auditor.heads), ())
    )

    assert [check["name"] for check in given["checks"] if not check["ok"]] == ["tree"]
    assert "no such column: hashes" in given["checks"][2]["findings"][0]["message"]
    assert [check["name"] for check in stored["checks"] if not check["ok"]] == ["heads", "tree"]


def test_a_stored_tile_above_the_leaves_that_does_not_belong_is_named(auditor: Auditor) -> None:
    auditor.change("INSERT INTO tree_tiles SELECT 1, 0, hashes, positions FROM tree_tiles")

    result = auditor.run("verify", "--heads", auditor.heads, "--json")

    (finding,) = json.loads(result.stdout)["checks"][2]["findings"]
    assert result.exit_code == 1
    assert "the stored tree differs from the log: tile 0 of level 1" in finding["message"]


def test_a_head_that_ends_at_another_position_is_found_with_the_right_one(auditor: Auditor) -> None:
    head = json.loads(auditor.heads.read_text())
    auditor.heads.write_text(json.dumps(head | {"position": 4711}) + "\n" + json.dumps(head))

    result = auditor.run("verify", "--heads", auditor.heads, "--json")

    checks = json.loads(result.stdout)["checks"]
    assert result.exit_code == 1
    assert "have different positions" in checks[0]["findings"][0]["message"]
    (finding,) = checks[1]["findings"]
    assert (finding["kind"], finding["first"]) == ("head-position", head["position"])


def test_heads_of_which_the_larger_ends_earlier_contradict_each_other(auditor: Auditor) -> None:
    head = json.loads(auditor.heads.read_text())
    earlier = head | {"size": head["size"] - 1, "position": head["position"] + 5}
    auditor.heads.write_text(json.dumps(earlier) + "\n" + json.dumps(head))

    result = auditor.run("verify", "--heads", auditor.heads, "--json")

    assert "ends no later than" in json.loads(result.stdout)["checks"][0]["findings"][0]["message"]


def test_without_heads_what_differs_from_the_stored_tree_is_found_and_said_to_be_unproven(auditor: Auditor) -> None:
    auditor.change("DELETE FROM tree_heads")
    auditor.change("UPDATE stored_events SET state = CAST(CAST(state AS TEXT) || ' ' AS BLOB) WHERE rowid = 8")

    result = auditor.run("verify", "--json")

    heads, log, *_ = json.loads(result.stdout)["checks"]
    assert result.exit_code == 1
    assert heads["skipped"]
    assert [(each["kind"], each["first"]) for each in log["findings"]] == [("altered", 8)]
    assert "only the stored tree says so" in log["findings"][0]["message"]


def test_without_heads_a_stored_tile_that_was_tampered_with_is_named(auditor: Auditor) -> None:
    auditor.change("DELETE FROM tree_heads")
    auditor.change("INSERT INTO tree_tiles SELECT 1, 0, hashes, positions FROM tree_tiles")

    result = auditor.run("verify", "--json")

    assert [each["kind"] for each in json.loads(result.stdout)["checks"][2]["findings"]] == ["tile"]


def test_a_tree_that_lags_behind_the_log_is_no_finding_without_heads(auditor: Auditor) -> None:
    auditor.change("DELETE FROM tree_heads")
    auditor.change("UPDATE tree_tiles SET hashes = substr(hashes, 1, 32 * 5), positions = substr(positions, 1, 8 * 5)")

    checks = json.loads(auditor.done("verify", "--json"))["checks"]

    assert [check["name"] for check in checks[:3]] == ["heads", "log", "tree"]
    assert "the log is as the stored tree has it" in checks[1]["holds"]


def test_of_a_log_that_was_cut_the_last_head_is_told(auditor: Auditor) -> None:
    head = json.loads(auditor.heads.read_text())
    later = head | {"size": head["size"] + 5, "position": head["position"] + 5}
    auditor.heads.write_text(json.dumps(head) + "\n" + json.dumps(later))
    auditor.change("DELETE FROM stored_events WHERE rowid > 9")
    auditor.change("DELETE FROM tree_tiles")

    result = auditor.run("verify", "--heads", auditor.heads, "--json")

    *_, finding = json.loads(result.stdout)["checks"][1]["findings"]
    assert (finding["kind"], finding["first"], finding["last"]) == ("cut", 10, later["position"])
    assert f"there is a head of {later['size']} events" in finding["message"]


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


def test_a_head_with_a_name_that_stands_twice_is_refused_with_its_line(auditor: Auditor) -> None:
    """Whoever reads the first and whoever reads the last would hold the log against different heads."""
    line = auditor.heads.read_text()
    auditor.heads.write_text(line + line.replace("{", '{"size":1,', 1))

    result = auditor.run("verify", "--heads", auditor.heads)

    assert result.exit_code == 1
    assert "line 2: a name stands twice" in " ".join(result.stderr.split())


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
