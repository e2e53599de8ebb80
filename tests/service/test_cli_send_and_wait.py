"""`routekeeper send --wait`: what a real worker made of a command, found out from log and views."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli_support import CHAT, Run, json_of, runner_for

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """The command line beside a worker on embedded defaults."""
    folder = tmp_path_factory.mktemp("data")
    environment = {**os.environ, "ROUTEKEEPER_DATA_DIR": str(folder), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "service", "worker"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as worker:
        assert worker.stdout is not None
        log = b""
        while b"Worker is up" not in log:
            line = worker.stdout.readline()
            log += line
            assert line, f"the worker ended: {log.decode()}"
        yield runner_for(folder)
        worker.send_signal(signal.SIGTERM)
        worker.communicate()


@pytest.fixture(scope="module")
def created(run: Run) -> str:
    """A deployment that waits for its revision."""
    result = run("send", "create", "chat", "--id", str(CHAT), "--wait")
    assert result.exit_code == 0, result.stderr
    return result.stdout.strip()


def test_once_waited_for_a_command_shows_in_the_views(run: Run, created: str) -> None:
    assert created == str(CHAT)

    outcome = json_of(run("send", "set-replica-count", "chat", "4", "--wait", "-o", "json"))

    (row,) = json_of(run("get", "deployments", "chat", "-o", "json"))
    assert (row["replica_count"], row["version"]) == (4, outcome["version"])
    assert json_of(run("history", "chat", "-o", "json"))[-1]["position"] == outcome["position"]


@pytest.mark.usefixtures("created")
def test_a_refused_command_fails_with_the_recorded_reason(run: Run) -> None:
    result = run("send", "create", "another", "--id", str(CHAT), "--wait")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("error: CreateDeployment was refused: ")
    assert result.stderr.endswith("[already-exists]\n")


@pytest.mark.usefixtures("created")
def test_a_command_sent_twice_has_the_one_outcome_of_the_first(run: Run) -> None:
    arguments = ("send", "set-replica-count", "chat", "2", "--command-id", "once", "--wait", "-o", "json")

    first, second = json_of(run(*arguments)), json_of(run(*arguments))

    assert second["offset"] > first["offset"]
    assert second["position"] == first["position"]
