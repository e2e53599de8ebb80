"""`routekeeper doctor`: finds what is wrong with real databases, brokers and proxies, and says how to repair it."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import make_url
from typer.testing import Result

from adapters.kafka.connection import KafkaConnection
from adapters.kafka.topics import Topics, ensure_topics
from service.demo.reference_proxy import ReferenceProxy
from tests.app_proxy_support import never_answers, response, says, server_answering
from tests.cli_support import runner_for

TOKEN = "canary-90ab"
Findings = Mapping[str, Mapping[str, str]]


def findings_of(result: Result) -> Findings:
    return {each["check"]: each for each in json.loads(result.stdout)}


async def doctor(folder: Path, *arguments: str, **environment: str) -> tuple[int, Findings]:
    """The exit code, and what was found by the name of the check."""
    run = runner_for(folder, **environment)
    result = await asyncio.to_thread(run, "doctor", "-o", "json", *arguments)
    assert TOKEN not in result.stdout + result.stderr
    return result.exit_code, findings_of(result)


def names_of(topics: Topics) -> dict[str, str]:
    names = ("commands", "routes", "metrics", "dead_letters", "events", "desired_routes")
    return {f"ROUTEKEEPER_KAFKA__TOPICS__{name.upper()}": getattr(topics, name) for name in names}


def targets(folder: Path, **addresses: str) -> dict[str, str]:
    file = folder / "targets.yaml"
    lines = [f"{group}: {{address: '{address}', token: {{value: {TOKEN}}}}}" for group, address in addresses.items()]
    file.write_text("\n".join(lines))
    return {"ROUTEKEEPER_PROXY_TARGETS_FILE": str(file)}


async def test_where_all_is_well_the_exit_code_is_0(
    tmp_path: Path, postgres_database: str, kafka: KafkaConnection, topics: Topics
) -> None:
    environment = {
        "ROUTEKEEPER_DATABASE__URL": postgres_database,
        "ROUTEKEEPER_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        **names_of(topics),
    }
    async with ReferenceProxy(TOKEN) as proxy:
        environment |= targets(tmp_path, default=proxy.address)
        await asyncio.to_thread(runner_for(tmp_path, **environment), "init")
        code, findings = await doctor(tmp_path, **environment)
        circuits = len(proxy.circuits)

    assert {name for name, each in findings.items() if each["status"] != "ok"} == set()
    assert code == 0
    assert circuits == 0
    assert {"settings", "database", "clock against database", "views database", "kafka"} < set(findings)
    assert findings["proxy of default"]["found"].endswith("answers, and accepts the token")
    assert {findings[f"reading {name}"]["status"] for name in (topics.events, topics.desired_routes)} == {"ok"}
    assert "cleanup.policy=compact" in findings[f"topic {topics.desired_routes}"]["found"]


async def test_for_people_each_check_has_a_mark_and_a_repair(tmp_path: Path) -> None:
    """The exit code is 1 where anything failed."""
    result = await asyncio.to_thread(runner_for(tmp_path, **targets(tmp_path, a="127.0.0.1:1")), "doctor")

    assert result.exit_code == 1
    assert "✓  database" in result.stdout
    assert "✗  proxy of a" in result.stdout
    assert "→ see that the proxy runs" in result.stdout


async def test_settings_that_cannot_be_used_are_the_only_finding(tmp_path: Path) -> None:
    code, findings = await doctor(tmp_path, ROUTEKEEPER_LOG_FORMAT="xml")

    assert (code, set(findings)) == (1, {"settings"})
    assert "ROUTEKEEPER_LOG_FORMAT" in findings["settings"]["found"]


async def test_a_database_without_tables_is_repaired_by_init(tmp_path: Path, postgres_database: str) -> None:
    code, findings = await doctor(tmp_path, ROUTEKEEPER_DATABASE__URL=postgres_database)

    assert code == 1
    assert "there is no stored_events, commits" in findings["database"]["found"]
    assert "routekeeper init" in findings["database"]["repair"]
    assert findings["views database"]["status"] == "failed"


@pytest.mark.parametrize("is_writer", [True, False])
async def test_the_rights_of_the_role_are_those_of_a_worker(
    tmp_path: Path, postgres_database: str, *, is_writer: bool
) -> None:
    """The writer has all that it needs; the reader is told what it lacks."""
    prefix = f"test_{uuid4().hex[:10]}"
    run = runner_for(tmp_path, ROUTEKEEPER_DATABASE__URL=postgres_database)
    await asyncio.to_thread(run, "init", "--roles", "--role-prefix", prefix)
    role = f"{prefix}_{'writer' if is_writer else 'reader'}"
    with psycopg.connect(postgres_database, autocommit=True) as connection:
        connection.execute(f"ALTER ROLE {role} LOGIN PASSWORD '{TOKEN}'".encode())
        url = make_url(postgres_database).set(username=role, password=TOKEN).render_as_string(hide_password=False)
        code, findings = await doctor(tmp_path, ROUTEKEEPER_DATABASE__URL=url)
        for name in ("owner", "writer", "reader"):
            connection.execute(f"DROP OWNED BY {prefix}_{name} CASCADE".encode())
            connection.execute(f"DROP ROLE {prefix}_{name}".encode())

    assert code == (0 if is_writer else 1)
    assert ("a worker needs USAGE on schema routekeeper" in findings["database"]["found"]) is not is_writer


async def test_a_database_that_does_not_answer_is_found_within_the_time(tmp_path: Path) -> None:
    async with server_answering(never_answers) as address:
        url = f"postgresql://me:{TOKEN}@{address}/control"
        code, findings = await doctor(tmp_path, "--timeout", "2", ROUTEKEEPER_DATABASE__URL=url)

    assert code == 1
    assert findings["database"]["status"] == "failed"


async def test_topics_that_are_missing_or_do_not_fit_together_are_named(
    tmp_path: Path, kafka: KafkaConnection, topics: Topics
) -> None:
    wider = replace(topics, commands=f"test-{uuid4()}", partitions=3)
    await ensure_topics(kafka, wider)
    missing = replace(wider, events=f"test-{uuid4()}", desired_routes=wider.events)
    environment = {"ROUTEKEEPER_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers, **names_of(missing)}

    code, findings = await doctor(tmp_path, **environment)

    assert code == 1
    assert findings[f"topic {missing.events}"]["found"] == "is not there"
    assert f"{wider.commands} has 3, {wider.routes} has 2" in findings["topics co-partitioned"]["found"]
    assert "routekeeper init --repartition" in findings["topics co-partitioned"]["repair"]


@pytest.mark.parametrize("token", ["{}", "{file: /dev/null}", f'{{value: "{TOKEN}\\n"}}', f'{{value: "{TOKEN}ß"}}'])
async def test_a_token_that_no_header_can_carry_is_found_before_a_worker_starts(tmp_path: Path, token: str) -> None:
    file = tmp_path / "targets.yaml"
    file.write_text(f"gpu: {{address: 'proxy:1', token: {token}}}")

    code, findings = await doctor(tmp_path, ROUTEKEEPER_PROXY_TARGETS_FILE=str(file))

    assert code == 1
    assert "scaling group 'gpu': " in findings["proxy targets"]["found"]
    assert " is empty" in findings["proxy targets"]["found"] or "holds" in findings["proxy targets"]["found"]


async def test_a_broker_that_does_not_answer_is_found_and_its_topics_are_skipped(tmp_path: Path) -> None:
    code, findings = await doctor(tmp_path, ROUTEKEEPER_KAFKA__BOOTSTRAP_SERVERS="127.0.0.1:1")

    assert code == 1
    assert "127.0.0.1:1 by PLAINTEXT" in findings["kafka"]["found"]
    assert findings["topics"]["status"] == "skipped"


_AS_A_WEB_SERVER = response("404 Not Found", b"<html>", "Date: Thu, 01 Jan 2026 00:00:00 GMT")


async def test_each_proxy_is_told_apart_by_what_is_wrong_with_it(tmp_path: Path) -> None:
    async with (
        ReferenceProxy("another-token") as strict,
        server_answering(says(_AS_A_WEB_SERVER)) as web,
        server_answering(never_answers) as silent,
    ):
        groups = {"strict": strict.address, "web": web, "silent": silent, "nowhere": "no-such-host.invalid"}
        groups["odd"] = "a..b"
        code, findings = await doctor(tmp_path, "--timeout", "1", **targets(tmp_path, **groups))

    expected = {
        "strict": "answers 401: it does not accept the token",
        "web": "answers 404, which an app proxy would not",
        "silent": "no answer within 1 s|ReadTimeout",
        "nowhere": "no-such-host.invalid does not resolve",
        "odd": "a..b does not resolve",
    }
    assert code == 1
    for group, said in expected.items():
        found = findings[f"proxy of {group}"]["found"]
        assert any(each in found for each in said.split("|")), found
        assert findings[f"proxy of {group}"]["repair"]
    assert "our clock is" in findings["clock against proxy of web"]["found"]
    assert findings["clock against proxy of web"]["status"] == "failed"
