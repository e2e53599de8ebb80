"""``routekeeper simulate``: rules beside what happened, or on samples alone."""

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from domain.autoscaling.metric import MetricSource
from domain.commands import DestroyDeployment
from tests.adapters.prometheus_server import prometheus_server, success
from tests.cli_support import Run, json_of, row_of, runner_for
from tests.executor_world import is_ready, world_of
from tests.service.simulate_support import D1, FROM, TO, live, policy, rules, samples
from tests.set_clock import SetClock


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


def test_rules_in_files_of_one_name_are_told_apart(tmp_path: Path, run: Run) -> None:
    for folder in "ab":
        (tmp_path / folder).mkdir()
    files = [rules(tmp_path / folder, "p.json", policy(5)) for folder in "ab"]
    page = tmp_path / "page.html"
    arguments = ("simulate", "--samples", samples(tmp_path), "--rules", files[0], "--rules")

    assert run(*arguments, files[1], "--html", str(page)).exit_code == 0
    twice = run(*arguments, files[0])

    assert ">a/p.json</text>" in page.read_text()
    assert ">b/p.json</text>" in page.read_text()
    assert twice.exit_code == 2
    assert "two columns would be called this" in " ".join(twice.stderr.replace("│", " ").split())


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
