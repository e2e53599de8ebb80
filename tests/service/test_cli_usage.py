"""The command line as a whole: help, exit codes, errors, and that reading leaves no trace."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from domain import commands as c
from tests.chronicle import Chronicle
from tests.cli_support import SEARCH, Run, create, json_of, runner_for

COMMANDS = [
    (),
    ("demo",),
    ("worker",),
    ("get",),
    ("get", "deployments"),
    ("get", "routes"),
    ("get", "replicas"),
    ("describe",),
    ("describe", "deployment"),
    ("history",),
    ("explain",),
    ("replay",),
    ("rejected",),
    ("init",),
    ("copy-log",),
    ("send",),
    ("send", "create"),
    ("send", "set-target-revision"),
    ("send", "set-replica-count"),
    ("send", "set-scaling-policy"),
    ("send", "pause-scaling"),
    ("send", "override-replicas"),
    ("send", "destroy"),
]


@pytest.fixture
def chronicle(tmp_path: Path) -> Iterator[Chronicle]:
    with closing(Chronicle(tmp_path)) as chronicle:
        yield chronicle


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return runner_for(tmp_path)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(run: Run, command: tuple[str, ...]) -> None:
    for flag in ("--help", "-h"):
        result = run(*command, flag, columns=100)
        assert result.exit_code == 0
        assert "Usage:" in result.stdout
        if command and command not in {("get",), ("send",), ("describe",), ("audit",)}:
            assert "Examples:" in result.stdout


def test_the_commands_are_listed_in_the_order_of_their_use(run: Run) -> None:
    listed = [line.split()[1] for line in run("--help").stdout.splitlines() if line.startswith("│ ") and line[2] != "-"]
    names = [name for name in listed if name.replace("-", "").isalpha()]

    assert names[-21:] == [
        *("demo", "worker", "follow", "send", "pause", "resume", "get", "describe", "history", "explain", "diff"),
        *("timeline", "simulate", "replay", "audit", "rejected", "init", "config", "doctor", "copy-log"),
        "new-incarnation",
    ]


def test_the_version_is_one_line(run: Run) -> None:
    result = run("--version")

    assert result.exit_code == 0
    assert result.stdout.startswith("routekeeper ")


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("get", "everything"),
        ("get", "deployments", "--lifecycle", "happy"),
        ("get", "deployments", "-o", "xml"),
        ("get", "deployments", "--limit", "0"),
        ("get", "deployments", "--watch", "--interval", "0.01"),
        ("get", "replicas", "chat", "--since", "yesterday"),
        ("history",),
        ("history", "chat", "--limit", "many"),
        ("describe", "deployment"),
        ("replay",),
        ("explain",),
        ("explain", "chat", "--at", "soon"),
        ("explain", "chat", "--limit", "-1"),
        ("replay", "--until", "soon"),
        ("send", "set-replica-count", str(SEARCH), "-1"),
        ("send", "set-target-revision", str(SEARCH), "--image", "only"),
        ("send", "override-replicas", str(SEARCH), "1", "--until", "later"),
        ("send", "pause-scaling", str(SEARCH), "scale-sideways"),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_exit_code_2_and_said_on_the_standard_error(run: Run, arguments: tuple[str, ...]) -> None:
    result = run(*arguments)

    assert (result.exit_code, result.stdout) == (2, "")
    assert "Usage:" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("get", "deployments"),
        ("describe", "deployment", "chat"),
        ("history", "chat"),
        ("explain", "chat"),
        ("rejected",),
    ],
    ids=" ".join,
)
def test_where_there_are_no_views_yet_the_way_to_get_them_is_told(run: Run, arguments: tuple[str, ...]) -> None:
    result = run(*arguments)

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("error: no views at ")
    assert "routekeeper worker" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_where_there_is_no_log_yet_a_replay_says_so(run: Run) -> None:
    result = run("replay", "--until", "1")

    assert result.exit_code == 1
    assert result.stderr.startswith("error: no event log at ")


def test_asking_makes_no_files(run: Run, tmp_path: Path) -> None:
    for arguments in (("get", "deployments"), ("history", str(SEARCH)), ("replay", "--until", "1"), ("rejected",)):
        assert run(*arguments).exit_code == 1

    assert list(tmp_path.iterdir()) == []


def test_views_without_tables_are_views_that_are_not_there_yet(run: Run, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "views.db")) as empty:
        empty.execute("PRAGMA journal_mode = WAL")

    assert run("get", "deployments").stderr.startswith("error: no views at ")


def test_a_file_that_is_no_database_is_an_error_of_one_line(run: Run, tmp_path: Path) -> None:
    for name in ("views.db", "events.db"):
        (tmp_path / name).write_text("this is a letter to my grandmother " * 100)

    for arguments in (("get", "deployments"), ("history", str(SEARCH)), ("replay", "--until", "1")):
        result = run(*arguments)
        assert result.exit_code == 1
        assert "file is not a database" in result.stderr
        assert len(result.stderr.splitlines()) == 1


def test_settings_that_cannot_be_used_are_named_with_their_value(tmp_path: Path) -> None:
    result = runner_for(tmp_path, ROUTEKEEPER_STOP_GRACE_SECONDS="forever")("get", "deployments")

    assert result.exit_code == 1
    assert "ROUTEKEEPER_STOP_GRACE_SECONDS" in result.stderr
    assert "forever" in result.stderr


def test_reading_changes_nothing_in_views_and_log(chronicle: Chronicle, run: Run, tmp_path: Path) -> None:
    chronicle.ask(create(SEARCH, "search", 1))
    chronicle.fold()
    before = {name: (tmp_path / name).read_bytes() for name in ("views.db", "events.db")}

    for arguments in (
        ("get", "deployments"),
        ("describe", "deployment", "search"),
        ("history", "search"),
        ("explain", "search"),
        ("replay", "--until", "1"),
    ):
        assert run(*arguments).exit_code == 0

    assert before == {name: (tmp_path / name).read_bytes() for name in ("views.db", "events.db")}


def test_names_cannot_steer_the_terminal(chronicle: Chronicle, run: Run) -> None:
    """A name is anybody's: escape sequences and line breaks show as what they are, and stay whole for programs."""
    name = "evil\x1b[2J\nname [red]"
    chronicle.ask(create(SEARCH, name, 1))
    chronicle.fold()

    for arguments in (("get", "deployments"), ("describe", "deployment", str(SEARCH)), ("history", str(SEARCH))):
        result = run(*arguments)
        assert "\x1b" not in result.stdout
        assert "[red]" in result.stdout
    assert json_of(run("get", "deployments", "-o", "json"))[0]["name"] == name


def test_views_behind_the_log_show_what_they_have(chronicle: Chronicle, run: Run) -> None:
    chronicle.ask(create(SEARCH, "search", 1))
    chronicle.fold()
    chronicle.ask(c.SetReplicaCount(deployment_id=SEARCH, replica_count=4))

    assert json_of(run("get", "deployments", "-o", "json"))[0]["replica_count"] == 1
    assert len(json_of(run("history", "search", "-o", "json"))) == 2


def test_the_module_is_the_command_too(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parent.parent.parent
    environment = {"ROUTEKEEPER_DATA_DIR": str(tmp_path), "PYTHONPATH": str(root)}
    command = [sys.executable, "-m", "service", "get", "deployments"]

    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=tmp_path)

    assert ended.returncode == 1
    assert ended.stderr.startswith("error: no views at ")
