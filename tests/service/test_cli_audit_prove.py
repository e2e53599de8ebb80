"""``routekeeper audit prove`` and ``verify-proof``: single proofs that need no database."""

import json
from pathlib import Path

import pytest

from tests.audit_support import Auditor, auditor_with_a_head


@pytest.fixture
def auditor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Auditor:
    return auditor_with_a_head(tmp_path, monkeypatch)


@pytest.mark.parametrize("what", [["--event", "5"], ["--from-size", "7"], ["--from-size", "3", "--to-size", "8"]])
def test_a_proof_holds_without_the_database(
    auditor: Auditor, what: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    auditor.bundle.write_text(auditor.done("prove", *what))
    monkeypatch.setenv("ROUTEKEEPER_DATA_DIR", str(tmp_path / "elsewhere"))

    answer = json.loads(auditor.done("verify-proof", auditor.bundle, "-o", "json"))

    assert answer["ok"]
    assert "Proven" in auditor.done("verify-proof", auditor.bundle)


def test_the_root_of_a_proof_must_be_that_of_a_known_head(auditor: Auditor) -> None:
    auditor.bundle.write_text(auditor.done("prove", "--event", "5"))
    assert auditor.run("verify-proof", auditor.bundle, "--heads", auditor.heads).exit_code == 0

    auditor.bundle.write_text(auditor.done("prove", "--event", "5", "--to-size", "6"))
    result = auditor.run("verify-proof", auditor.bundle, "--heads", auditor.heads)

    assert result.exit_code == 1
    assert "is that of no known head" in result.stdout


@pytest.mark.parametrize(
    ("what", "field", "value"),
    [
        ("--event", "leaf_index", 3),
        ("--event", "root", "0" * 64),
        ("--event", "inclusion_path", []),
        ("--event", "leaf", "AA=="),
        ("--from-size", "root_1", "0" * 64),
        ("--from-size", "tree_size_1", 6),
        ("--from-size", "consistency_path", []),
    ],
)
def test_a_proof_that_was_tampered_with_proves_nothing(auditor: Auditor, what: str, field: str, value: object) -> None:
    proof = json.loads(auditor.done("prove", what, "5"))
    auditor.bundle.write_text(json.dumps(proof | {field: value}))

    result = auditor.run("verify-proof", auditor.bundle)

    assert result.exit_code == 1
    assert "does not lead from" in result.stdout


def test_no_proof_is_given_of_an_event_that_is_not_what_it_was(auditor: Auditor) -> None:
    auditor.change("UPDATE stored_events SET state = 'x' WHERE rowid = 5")

    assert "is not what it was" in auditor.run("prove", "--event", "5").stderr


def test_no_proof_is_given_of_a_stored_tree_that_contradicts_its_head(auditor: Auditor) -> None:
    auditor.change("UPDATE tree_heads SET root = zeroblob(32)")

    assert "not as the stored head has it" in auditor.run("prove", "--from-size", "5").stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--event", "99999"], "no event at position 99999"),
        (["--from-size", "99999"], "--from-size 99999 is more than"),
        (["--from-size", "1", "--to-size", "99999"], "there is no tree of 99999 events"),
        ([], "give either --event or --from-size"),
    ],
)
def test_what_cannot_be_proven_is_refused_with_its_reason(auditor: Auditor, options: list[str], said: str) -> None:
    result = auditor.run("prove", *options)

    assert result.exit_code
    assert said in " ".join(result.stderr.split())


def test_a_file_that_holds_no_proof_is_refused_by_name(auditor: Auditor) -> None:
    result = auditor.run("verify-proof", auditor.heads)

    assert result.exit_code == 1
    assert str(auditor.heads) in result.stderr


def test_a_proof_with_a_name_that_stands_twice_is_refused(auditor: Auditor) -> None:
    proof = auditor.done("prove", "--event", "5")
    auditor.bundle.write_text(proof.replace("{", '{"leaf_index":1,', 1))

    result = auditor.run("verify-proof", auditor.bundle)

    assert result.exit_code == 1
    assert "a name stands twice" in " ".join(result.stderr.split())
