"""`routekeeper doctor` asks Prometheus a query where one is set, and one odd value ends no other check."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from service.doctor.finding import Finding, guarded
from tests.adapters.prometheus_server import failure, prometheus_server, success, vector
from tests.cli_support import runner_for

TOKEN = "canary-7d21"


async def prometheus_finding(folder: Path, **variables: str) -> Mapping[str, str] | None:
    """What is found about Prometheus."""
    named = {f"ROUTEKEEPER_PROMETHEUS__{name}": value for name, value in variables.items()}
    result = await asyncio.to_thread(runner_for(folder, **named), "doctor", "-o", "json", "--timeout", "5")
    assert TOKEN not in result.stdout + result.stderr
    return next((each for each in json.loads(result.stdout) if each["check"] == "prometheus"), None)


async def test_without_an_address_there_is_nothing_to_find(tmp_path: Path) -> None:
    assert await prometheus_finding(tmp_path) is None


async def test_a_server_that_answers_is_well(tmp_path: Path) -> None:
    async with prometheus_server(**{"vector(1)": success(vector(({}, "1")))}) as server:
        found = await prometheus_finding(tmp_path, URL=server.address, TOKEN__VALUE=TOKEN)

    assert found is not None
    assert (found["status"], found["found"]) == ("ok", f"{server.address} answers queries")
    assert [headers["authorization"] for _, _, headers in server.asked] == [f"Bearer {TOKEN}"]


async def test_a_token_that_is_not_accepted_is_found(tmp_path: Path) -> None:
    async with prometheus_server(**{"vector(1)": failure("401 Unauthorized", "auth", "who are you")}) as server:
        found = await prometheus_finding(tmp_path, URL=server.address, TOKEN__VALUE=TOKEN)

    assert found is not None
    assert found["status"] == "failed"
    assert "answered 401" in found["found"]
    assert "ROUTEKEEPER_PROMETHEUS__TOKEN" in found["repair"]


@pytest.mark.parametrize(
    ("variables", "found"),
    [
        ({"URL": "http://127.0.0.1:1"}, "http://127.0.0.1:1: "),
        ({"URL": "http://127.0.0.1:1", "TOKEN__FILE": "/no/such/file"}, "/no/such/file cannot be read"),
    ],
)
async def test_what_keeps_us_from_asking_is_found(tmp_path: Path, variables: dict[str, str], found: str) -> None:
    finding = await prometheus_finding(tmp_path, **variables)

    assert finding is not None
    assert finding["status"] == "failed"
    assert found in finding["found"]


async def test_a_value_that_nobody_foresaw_is_a_finding_without_the_value() -> None:
    async def odd() -> list[Finding]:
        raise UnicodeEncodeError("idna", TOKEN, 0, 1, f"label of {TOKEN}")

    (found,) = await guarded("kafka", odd())

    assert (found.check, found.status) == ("kafka", "failed")
    assert "UnicodeEncodeError" in found.found
    assert TOKEN not in found.found + found.repair
