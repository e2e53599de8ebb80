"""``routekeeper simulate``: rules beside what happened, or on samples alone."""

import asyncio
import json
import sqlite3
from contextlib import closing
from math import sin
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import UUID

import pytest

from domain.autoscaling.metric import MetricSource
from domain.autoscaling.rules import ScalingPolicy
from domain.autoscaling.target_tracking import TargetTrackingRule, TargetType
from domain.commands import DestroyDeployment
from tests.adapters.prometheus_server import prometheus_server, success
from tests.cli_support import Run, json_of, row_of, runner_for
from tests.executor_world import is_ready, world_of
from tests.set_clock import SetClock

D1 = UUID(int=0)
FROM, TO = "2026-03-01T12:00:00Z", "2026-03-01T12:05:00Z"


def policy(target: float, **about: Any) -> ScalingPolicy:  # noqa: ANN401 - as the policy takes it
    """So much of the queue for each replica."""
    source = about.pop("source", MetricSource.INFERENCE_FRAMEWORK)
    query = about.pop("query", None)
    rule = TargetTrackingRule(
        name="queue", source=source, metric="queue", target=target, target_type=TargetType.TOTAL_AVERAGE, query=query
    )
    return ScalingPolicy.model_validate({"rules": [rule], "min_replicas": 1, "max_replicas": 20, **about})


def rules(folder: Path, name: str, wanted: ScalingPolicy) -> str:
    """A file that holds a policy."""
    file = folder / name
    file.write_text(wanted.model_dump_json())
    return str(file)


def samples(folder: Path) -> str:
    """An hour of a queue that grows and shrinks."""
    lines = [f"{SetClock.now.timestamp() + at},queue,{30 + 25 * sin(at / 500):.2f}" for at in range(0, 3600, 15)]
    file = folder / "load.csv"
    file.write_text("\n".join(["time,metric,value", *lines]))
    return str(file)


async def live(folder: Path) -> None:
    """Five minutes of a deployment that is scaled out."""
    async with world_of(folder, reconciler=True) as world:
        await world.create(replica_count=1, scaling_policy=policy(10))
        await world.until(D1, is_ready)
        for value in (10, 40, 80, 80, 20, 60):
            await world.live(40)
            await world.sample(D1, value)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return runner_for(tmp_path)


def test_other_rules_stand_beside_what_happened(tmp_path: Path, run: Run) -> None:
    asyncio.run(live(tmp_path))
    same, lazy = rules(tmp_path, "same.json", policy(10)), rules(tmp_path, "lazy.json", policy(40))
    arguments = ("simulate", "-d", str(D1), "--rules", same, "--rules", lazy, "--from", FROM, "--to", TO)

    told = json_of(run(*arguments, "--json"))
    table = run(*arguments)

    recorded, again, other = told["courses"]
    assert recorded["difference_count"] == again["difference_count"] == 0
    assert (recorded["modelled_from"], again["decisions"]) == (None, recorded["decisions"])
    assert again["measures"]["scalings"] == recorded["measures"]["scalings"] > 0
    assert (recorded["measures"]["highest"], other["measures"]["highest"]) == (8, 2)
    assert "No feedback" in told["assumptions"][-1]
    assert row_of(table, "Most wanted")[1:] == ["8", "8", "2"]
    assert "recorded: every recorded decision was made again, the same." in table.stdout
    assert "This is a model." in table.stdout


def test_without_rules_the_record_is_held_against_itself(tmp_path: Path, run: Run) -> None:
    asyncio.run(live(tmp_path))
    settings = {"ROUTEKEEPER_DECISIONS__REASONS_APART": "1000"}

    well = run("simulate", "-d", str(D1), "--from", FROM, "--to", TO)
    other = runner_for(tmp_path, **settings)("simulate", "-d", str(D1), "--from", FROM, "--to", TO)

    assert well.exit_code == 0
    assert other.exit_code == 1
    assert "differences from what is recorded" in other.stdout
    assert "do not come to what is recorded" in other.stderr


def test_a_record_without_evaluations_is_not_called_confirmed(tmp_path: Path, run: Run) -> None:
    asyncio.run(live(tmp_path))
    with closing(sqlite3.connect(tmp_path / "events.db")) as connection, connection:
        connection.execute("DELETE FROM scaling_evaluations")

    told = run("simulate", "-d", str(D1), "--from", FROM, "--to", TO)
    quiet = run("simulate", "-d", str(D1), "--from", "2026-03-01T12:04:59Z", "--to", TO)

    assert told.exit_code == 1
    assert "the same" not in told.stdout
    assert "recorded: no decision is recorded." in quiet.stdout


def test_of_a_difference_only_the_fields_that_differ_are_told(tmp_path: Path, run: Run) -> None:
    asyncio.run(live(tmp_path))
    with closing(sqlite3.connect(tmp_path / "events.db")) as connection, connection:
        connection.execute(
            "UPDATE scaling_evaluations SET previous = 6, desired = 7 WHERE desired = 4 AND previous = 1"
        )

    told = run("simulate", "-d", str(D1), "--from", FROM, "--to", TO)
    as_json = json.loads(run("simulate", "-d", str(D1), "--from", FROM, "--to", TO, "--json").stdout)

    assert 'evaluation: recorded {"previous": 6, "desired": 7}, but {"previous": 1, "desired": 4}' in told.stdout
    difference = as_json["courses"][0]["differences"][0]
    assert (difference["what"], difference["recorded"]) == ("evaluation", {"previous": 6, "desired": 7})


def test_rules_are_tried_on_a_file_of_samples_before_there_is_a_deployment(tmp_path: Path, run: Run) -> None:
    eager, lazy = rules(tmp_path, "eager.json", policy(5)), rules(tmp_path, "lazy.json", policy(20))
    arguments = ("simulate", "--samples", samples(tmp_path), "--rules", eager, "--rules", lazy, "--replicas", "2")

    told = json_of(run(*arguments, "--json"))

    assert [course["measures"]["highest"] for course in told["courses"]] == [10, 3]
    assert told["courses"][0]["counts"][0]["desired"] == 2
    assert run(*arguments, "--json").stdout == run(*arguments, "-o", "json").stdout


def test_a_page_and_an_image_are_the_same_each_time(tmp_path: Path, run: Run) -> None:
    arguments = ("simulate", "--samples", samples(tmp_path), "--rules", rules(tmp_path, "some.json", policy(5)))
    for number in "12":
        files = ("--html", str(tmp_path / f"{number}.html"), "--png", str(tmp_path / f"{number}.png"))
        assert run(*arguments, *files).exit_code == 0

    assert (tmp_path / "1.html").read_bytes() == (tmp_path / "2.html").read_bytes()
    assert (tmp_path / "1.png").read_bytes() == (tmp_path / "2.png").read_bytes()
    page = (tmp_path / "1.html").read_text()
    assert "<svg" in page
    assert "This is a model." in page
    assert "some.json" in page
    assert "http://" not in page.replace("http://www.w3.org", "").replace("http://purl.org", "").replace(
        "http://creativecommons.org", ""
    )


def test_the_plot_is_drawn_in_the_terminal(tmp_path: Path, run: Run) -> None:
    some = rules(tmp_path, "some.json", policy(5))

    drawn = run("simulate", "--samples", samples(tmp_path), "--rules", some, "--plot")

    assert "replicas wanted" in drawn.stdout
    assert "┤" in drawn.stdout


def test_without_the_extra_it_is_named(tmp_path: Path, run: Run) -> None:
    with patch.dict("sys.modules", {"matplotlib.figure": None}):
        told = run("simulate", "--samples", samples(tmp_path), "--png", str(tmp_path / "plot.png"))

    assert told.exit_code == 1
    assert "pip install 'routekeeper[plots]'" in told.stderr


def test_samples_come_from_prometheus_by_the_rules_own_query(tmp_path: Path, run: Run) -> None:
    wanted = policy(10, source=MetricSource.PROMETHEUS, query="load")
    noon = SetClock.now.timestamp()
    data = {
        "resultType": "matrix",
        "result": [{"metric": {}, "values": [[noon + at, "50"] for at in range(0, 60, 15)]}],
    }

    async def asked() -> Any:  # noqa: ANN401 - JSON is anything
        async with prometheus_server(load=success(data)) as server:
            arguments = ("--prometheus", server.address, "--rules", rules(tmp_path, "some.json", wanted))
            return await asyncio.to_thread(run, "simulate", *arguments, "--from", FROM, "--to", TO, "--json")

    told = json_of(asyncio.run(asked()))

    assert told["courses"][0]["measures"]["highest"] == 5


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


def test_a_simulation_ends_when_the_destruction_begins(tmp_path: Path, run: Run) -> None:
    async def lives_and_is_destroyed() -> None:
        async with world_of(tmp_path, reconciler=True) as world:
            await world.create(replica_count=2, scaling_policy=policy(10))
            await world.until(D1, is_ready)
            await world.live(60)
            await world.sample(D1, 40)
            await world.live(60)
            await world.when(DestroyDeployment(deployment_id=D1))
            await world.live(60)

    asyncio.run(lives_and_is_destroyed())
    whole = ("simulate", "-d", str(D1), "--from", FROM, "--rules", rules(tmp_path, "some.json", policy(5)))

    told = run(*whole, "--to", "2026-03-01T14:00:00Z", "--json")
    too_late = run(*whole, "--from", "2026-03-01T13:00:00Z", "--to", "2026-03-01T14:00:00Z")

    found = json_of(told)
    assert found["until"] < "2026-03-01T12:05:00Z"
    assert all(course["measures"]["lowest"] > 0 for course in found["courses"])
    assert "when the destruction of the deployment began" in told.stderr
    assert too_late.exit_code == 1
    assert "error: the destruction of the deployment began at 2026-03-01T12:0" in too_late.stderr
