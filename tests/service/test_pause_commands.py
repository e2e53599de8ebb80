"""`routekeeper pause` and `resume` as an operator runs them, with a worker in a process of its own."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from domain import commands as c
from service.demo.audience import Audience
from service.settings import Settings
from tests.service.site_support import Site, creation, is_ready, site_of


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with site_of(Settings(data_dir=tmp_path / "data")) as site:
        yield site


@pytest.mark.timeout(120)
async def test_a_pause_holds_over_a_restart_is_shown_and_ends_with_resume(site: Site) -> None:
    """Commands are recorded meanwhile; nothing reaches the proxy before the deployment is resumed."""
    held, free = uuid4(), uuid4()
    audience = Audience(site.settings, patience=40)
    async with site.worker():
        await site.client.command(creation(free))
        await audience.until(free, is_ready)
        code, said = await site.run("pause", str(held), "--reason", "a leak", "--actor", "alice", "--wait")
        assert (code, f"deployment {held} paused" in said) == (0, True), said
    async with site.worker():
        await site.client.command(creation(held))
        await site.client.command(c.SetReplicaCount(deployment_id=held, replica_count=2))
        await site.client.command(c.SetReplicaCount(deployment_id=free, replica_count=2))
        await audience.until(free, lambda row: is_ready(row) and row.healthy_replicas == 2)
        await audience.until(held, lambda row: row.target_replica_count == 2)
        assert site.circuits == {free}

        [pause] = json.loads((await site.run("get", "pauses", "-o", "json"))[1])
        assert (pause["target"], pause["actor"], pause["reason"]) == (str(held), "alice", "a leak")
        assert "paused by alice: a leak" in " ".join((await site.run("describe", "deployment", str(held)))[1].split())
        assert "Paused" in (await site.run("get", "deployments", str(held)))[1]

        assert (await site.run("resume", str(held), "--wait"))[0] == 0
        await audience.until(held, is_ready)
        assert site.circuits == {free, held}


@pytest.mark.parametrize("arguments", [(), ("llama", "--all"), ("--all", "--resource-group", "gpu")])
async def test_a_pause_needs_exactly_one_scope(site: Site, arguments: tuple[str, ...]) -> None:
    code, said = await site.run("pause", *arguments)

    assert code == 2
    assert "name one of" in said
