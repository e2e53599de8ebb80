"""What ``routekeeper simulate`` says of arguments, rules and samples that it cannot use."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from domain.autoscaling.metric import MetricSource
from domain.autoscaling.rules import ScalingPolicy
from tests.cli_support import Run, json_of, runner_for
from tests.service.simulate_support import D1, FROM, TO, live, policy, rules, samples


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return runner_for(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--rules", "RULES"], "give one of --deployment, --samples and --prometheus"),
        (["--samples", "SAMPLES"], "--rules have to be given"),
        (["-d", str(D1)], "--from has to be given with --deployment"),
        (["-d", str(D1), "--from", FROM, "--samples", "SAMPLES"], "are for where there is no --deployment"),
        (["-d", str(D1), "--from", TO, "--to", FROM], "is not before --to"),
        (["--samples", "SAMPLES", "--rules", "RULES", "--max-reports", "5"], "there are more than 5 samples"),
        (["--samples", "SAMPLES", "--rules", "RULES", "--from", "2027-01-01"], "there are no samples in this time"),
        (["--samples", "SAMPLES", "--rules", "RULES", "--plot", "--json"], "--plot would stand in the middle"),
        (["--prometheus", "http://127.0.0.1:1", "--rules", "RULES", "--from", FROM], "no rule has a query"),
        (["--samples", "SAMPLES", "--rules", "BOUNDS"], "min_replicas 30 is above max_replicas 20"),
        (
            ["--samples", "SAMPLES", "--rules", "OTHER"],
            "rule queue finds no sample of metric 'queue' from source kernel (there is 'queue' from source inference-",
        ),
        (
            ["--samples", "SAMPLES", "--rules", "RULES", "--from", TO, "--to", FROM],
            "--from 2026-03-01T12:05:00+00:00 is not before --to 2026-03-01T12:00:00+00:00",
        ),
    ],
)
def test_what_cannot_be_says_why(tmp_path: Path, run: Run, arguments: list[str], complaint: str) -> None:
    files = {
        "RULES": rules(tmp_path, "some.json", policy(5)),
        "BOUNDS": rules(tmp_path, "bounds.json", policy(5, min_replicas=30)),
        "SAMPLES": samples(tmp_path),
        "OTHER": rules(tmp_path, "other.json", policy(5, source=MetricSource.KERNEL)),
    }

    told = run("simulate", *[files.get(argument, argument) for argument in arguments])

    assert told.exit_code != 0
    assert complaint in " ".join(told.stderr.replace("│", " ").split())


@pytest.mark.parametrize(
    ("option", "value", "complaint"),
    [
        ("--from", "0001-01-01", "'0001-01-01' is not within the years 1970 to 8999"),
        ("--to", "9999-12-31T23:59:59", "is not within the years 1970 to 8999"),
        ("--replicas", "1000000000000", "less than or equal to 100000"),
        ("--start-up", "inf", "less than or equal to 31536000"),
        ("--start-up", "nan", "less than or equal to 31536000"),
        ("--start-up", "1e300", "less than or equal to 31536000"),
        ("--flap-window", "nan", "less than or equal to 31536000"),
        ("--step", "1e300", "less than or equal to 86400"),
        ("--capacity-per-replica", "inf", "inf is no number"),
    ],
)
def test_a_number_or_moment_beyond_all_others_is_refused(run: Run, option: str, value: str, complaint: str) -> None:
    told = run("simulate", "-d", str(D1), option, value)

    assert told.exit_code == 2
    words = " ".join(told.stderr.replace("│", " ").split())
    assert f"Invalid value for '{option}'" in words
    assert complaint in words


def test_a_rule_that_finds_no_sample_is_named_beside_the_answer(tmp_path: Path, run: Run) -> None:
    """Or its silence would be taken for a quiet metric."""
    busy = policy(5).rules[0].model_copy(update={"name": "busy", "metric": "gpu_util"})
    file = rules(tmp_path, "both.json", policy(5).model_copy(update={"rules": (*policy(5).rules, busy)}))

    told = run("simulate", "--samples", samples(tmp_path), "--rules", file, "--json")

    said = f"{file}: rule busy finds no sample of metric 'gpu_util' from source inference-framework (there is 'queue')"
    assert json_of(told)["warnings"] == [said]
    assert told.stderr == f"warning: {said}\n"


def csv(folder: Path, columns: str, *rows: str) -> str:
    """A file of samples at noon."""
    file = folder / "few.csv"
    file.write_text("\n".join([f"time,{columns}", *[f"2026-03-01T12:00:00Z,{row}" for row in rows]]))
    return str(file)


STEP = {"kind": "step", "name": "q", "metric": "m", "comparator": "gt", "threshold": 1, "step": 1}
STEP["cooldown_seconds"] = 60
TRACKING = {"kind": "target-tracking", "name": "q", "metric": "m", "target": 5}
ONLY_WHOLE = "finds no sample of metric 'm' from source kernel of routes (there is only of the deployment as a whole)"


@pytest.mark.parametrize(
    ("rule", "source", "rows", "complaint"),
    [
        (TRACKING, "kernel", ["m,1,kernel,"], ONLY_WHOLE),
        (STEP, "kernel", ["m,1,kernel,"], ONLY_WHOLE),
        (STEP, "inference-framework", ["m,1,inference-framework,r1"], "of the deployment as a whole (there is only of"),
        (TRACKING | {"request_metric": "n"}, "kernel", ["m,1,kernel,r1"], "no sample of metric 'n' from source kernel"),
        (TRACKING, "kernel", ["m,1,kernel,", "m,1,kernel,r1"], ""),
        (TRACKING | {"target_type": "total-average"}, "kernel", ["m,1,kernel,r1"], ""),
    ],
)
def test_samples_that_a_rule_cannot_use_are_none(
    tmp_path: Path, run: Run, rule: dict[str, object], source: str, rows: list[str], complaint: str
) -> None:
    """A rule that counts replicas one by one needs samples of routes; others need them of the whole."""
    wanted = ScalingPolicy.model_validate({"rules": [rule | {"source": source}]})
    file = csv(tmp_path, "metric,value,source,route", *rows)

    told = run("simulate", "--samples", file, "--rules", rules(tmp_path, "some.json", wanted))

    assert (told.exit_code, complaint in told.stderr) == (1 if complaint else 0, True)


DAMAGED = [
    b"\xff",
    b"5",
    b"[5]",
    b'[["kernel","m",7,0,1.0]]',
    b'[["kernel","m",null,1000000000000000000000,1.0]]',
    b'[["weird","m",null,0,1.0]]',
    b'[["kernel","m",null,0,"x"]]',
    "[]x",
    7,
]


def test_samples_in_the_log_that_cannot_be_read_are_named(tmp_path: Path, run: Run) -> None:
    asyncio.run(live(tmp_path))
    for damaged in DAMAGED:
        with closing(sqlite3.connect(tmp_path / "events.db")) as connection, connection:
            connection.execute("UPDATE metric_samples SET samples = ? WHERE id = 2", [damaged])

        told = run("simulate", "-d", str(D1), "--from", FROM, "--to", TO)

        assert told.exit_code == 1
        which = f"the report of {D1} that was received at 2026-03-01T12:01:"
        assert told.stderr.startswith(f"error: metric_samples: {which}"), told.stderr


def test_a_damaged_memory_of_an_evaluation_is_a_difference(tmp_path: Path, run: Run) -> None:
    asyncio.run(live(tmp_path))
    with closing(sqlite3.connect(tmp_path / "events.db")) as connection, connection:
        newest = "SELECT max(id) FROM scaling_evaluations"
        connection.execute(f"UPDATE scaling_evaluations SET memories = 'no JSON' WHERE id = ({newest})")

    told = run("simulate", "-d", str(D1), "--from", FROM, "--to", TO)

    assert told.exit_code == 1
    assert 'recorded {"memories": "no JSON"}' in told.stdout
