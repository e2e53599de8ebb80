"""`--watch`: shown anew at each change, until Ctrl-C."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from rich.text import Text

from domain import commands as c
from service.cli.errors import ViewsMissing
from service.cli.output import Answer, OutputFormat
from service.cli.watch import show
from tests.chronicle import Chronicle
from tests.cli_support import SEARCH, create

ROOT = Path(__file__).resolve().parent.parent.parent


def asked(*answers: str | Exception) -> Callable[[], Answer]:
    """Somebody who gives these answers, and then gets Ctrl-C."""
    remaining: Iterator[str | Exception] = iter((*answers, KeyboardInterrupt()))  # type: ignore[arg-type] # not an Exception, on purpose

    def ask() -> Answer:
        answer = next(remaining)
        if isinstance(answer, BaseException):
            raise answer
        return Answer({"state": answer}, lambda _: Text(f"it is {answer}"))

    return ask


def test_what_does_not_change_is_written_once(capsys: pytest.CaptureFixture[str]) -> None:
    show(asked("up", "up", "down", "down", "up"), OutputFormat.TABLE, watch=True, interval=0)

    assert capsys.readouterr().out.split("\n") == ["it is up", "it is down", "it is up", ""]


def test_json_is_one_line_a_change(capsys: pytest.CaptureFixture[str]) -> None:
    show(asked("up", "down"), OutputFormat.JSON, watch=True, interval=0)

    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [{"state": "up"}, {"state": "down"}]


def test_yaml_is_one_document_a_change(capsys: pytest.CaptureFixture[str]) -> None:
    show(asked("up", "down"), OutputFormat.YAML, watch=True, interval=0)

    assert capsys.readouterr().out == "---\nstate: up\n---\nstate: down\n"


def test_views_that_are_being_built_anew_do_not_end_the_watch(capsys: pytest.CaptureFixture[str]) -> None:
    show(asked("up", ViewsMissing("gone"), "down"), OutputFormat.TABLE, watch=True, interval=0)

    assert capsys.readouterr().out == "it is up\nit is down\n"


def test_views_that_are_not_there_at_first_are_an_error() -> None:
    with pytest.raises(ViewsMissing):
        show(asked(ViewsMissing("none yet")), OutputFormat.TABLE, watch=True, interval=0)


def test_in_a_terminal_the_last_state_stays(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")

    show(asked("up", "down"), OutputFormat.TABLE, watch=True, interval=0)

    assert capsys.readouterr().out.rstrip().endswith("it is down\n\x1b[?25h")


def test_a_watch_follows_the_views_and_ends_on_ctrl_c_with_0(tmp_path: Path) -> None:
    """Given a watch beside a worker's views, when they change it writes a line, and when interrupted it just ends."""
    with closing(Chronicle(tmp_path)) as chronicle:
        chronicle.ask(create(SEARCH, "search", 1))
        chronicle.fold()
        command = [sys.executable, "-m", "service", "get", "deployments", "-o", "json", "--watch", "--interval", "0.1"]
        environment = {"ROUTEKEEPER_DATA_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as watch:
            assert watch.stdout is not None
            first = json.loads(watch.stdout.readline())
            chronicle.ask(c.SetReplicaCount(deployment_id=SEARCH, replica_count=4))
            chronicle.fold()
            second = json.loads(watch.stdout.readline())
            watch.send_signal(signal.SIGINT)

    assert [first[0]["replica_count"], second[0]["replica_count"]] == [1, 4]
    assert watch.returncode == 0
