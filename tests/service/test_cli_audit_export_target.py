"""Where `routekeeper audit export` writes to: whatever stands there stays what it is."""

import os
import socket
from contextlib import closing
from pathlib import Path
from threading import Thread

import pytest

from tests.audit_support import Auditor, auditor_with_a_head


@pytest.fixture
def auditor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Auditor:
    return auditor_with_a_head(tmp_path, monkeypatch)


def test_a_link_stays_a_link_and_what_it_leads_to_is_written(auditor: Auditor, tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    target = tmp_path / "kept" / "all.jsonl"
    auditor.bundle.symlink_to(target)

    for _ in ("to nothing yet", "to a file"):
        auditor.done("export", "--all", auditor.bundle)

        assert auditor.bundle.is_symlink()
        assert not target.is_symlink()
        auditor.done("verify-bundle", target)


def test_a_pipe_stays_a_pipe_and_gets_the_bundle(auditor: Auditor) -> None:
    read: list[str] = []
    os.mkfifo(auditor.bundle)
    reader = Thread(target=lambda: read.append(auditor.bundle.read_text()), daemon=True)
    reader.start()

    auditor.done("export", "--all", auditor.bundle)

    # Had the pipe been replaced, nobody would ever have written to it.
    assert auditor.bundle.is_fifo()
    reader.join()
    assert read[0].splitlines()[-1].startswith('{"kind":"end"')


def test_what_cannot_be_written_to_stays_what_it_is_and_is_named(auditor: Auditor) -> None:
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(str(auditor.bundle))

        result = auditor.run("export", "--all", auditor.bundle)

    assert result.exit_code == 1
    assert f"{auditor.bundle} cannot be written: No such device" in " ".join(result.stderr.split())
    assert auditor.bundle.is_socket()


@pytest.mark.parametrize("place", ["/dev/null/all.jsonl", "/proc/all.jsonl"])
def test_a_place_where_nothing_can_be_written_is_named(auditor: Auditor, place: str) -> None:
    result = auditor.run("export", "--all", place)

    assert result.exit_code == 1
    assert f"{place} cannot be written" in " ".join(result.stderr.split())


def test_what_is_not_exported_leaves_nothing_behind_and_nothing_of_others_is_touched(auditor: Auditor) -> None:
    kept = auditor.bundle.with_name(f"{auditor.bundle.name}.partial")
    kept.write_text("somebody else's")
    before = set(auditor.bundle.parent.iterdir())
    auditor.change("UPDATE stored_events SET state = CAST(CAST(state AS TEXT) || ' ' AS BLOB) WHERE rowid = 3")

    assert auditor.run("export", "--all", auditor.bundle).exit_code == 1

    assert set(auditor.bundle.parent.iterdir()) == before
    assert kept.read_text() == "somebody else's"
