"""The restore drill: an older database comes back under topics and proxies that have moved on."""

import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from sqlalchemy import make_url

from domain import commands as c
from service.demo.audience import Audience
from service.settings import Settings
from service.stores import stores_of
from tests.oracle import assert_one_story
from tests.service.site_support import Site, creation, is_gone, is_ready, site_of


@pytest.fixture(autouse=True)
def short_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROUTEKEEPER_PROXY__CALL_TIMEOUT_SECONDS", "2")
    monkeypatch.setenv("ROUTEKEEPER_PROXY__SETTLE_SECONDS", "1")
    monkeypatch.setenv("ROUTEKEEPER_PROXY__LIMITS__SLOT_WAIT_SECONDS", "2")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


@pytest.fixture
async def site(settings: Settings) -> AsyncIterator[Site]:
    async with site_of(settings) as site:
        yield site


def back_up(log_file: Path, copy: Path) -> None:
    with closing(sqlite3.connect(log_file)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)


def restore(log_file: Path, copy: Path) -> None:
    for beside in ("-wal", "-shm"):
        log_file.with_name(log_file.name + beside).unlink(missing_ok=True)
    shutil.copy(copy, log_file)


@pytest.mark.timeout(120)
async def test_restore_drill_with_sqlite(site: Site, settings: Settings, tmp_path: Path) -> None:
    """A restored log is noticed and refused; declared a new incarnation it is safe, and nothing is doubled."""
    copy = tmp_path / "backup.db"
    await drill(site, lambda: back_up(settings.log_file, copy), lambda: restore(settings.log_file, copy))


@pytest.mark.timeout(120)
async def test_restore_drill_with_postgresql(
    tmp_path: Path, postgres_url: str, postgres_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same with a database that is exchanged for its copy."""
    monkeypatch.setenv("ROUTEKEEPER_DATABASE__URL", postgres_database)
    name = str(make_url(postgres_database).database)

    def copy_database(source: str, target: str) -> None:
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(target)))
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [source])
            connection.execute(SQL("CREATE DATABASE {} TEMPLATE {}").format(Identifier(target), Identifier(source)))

    async with site_of(Settings(data_dir=tmp_path / "data")) as site:
        await drill(site, lambda: copy_database(name, f"{name}_copy"), lambda: copy_database(f"{name}_copy", name))
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(f"{name}_copy")))


async def drill(site: Site, back_up: Callable[[], None], restore: Callable[[], None]) -> None:
    stays, goes, comes, passes = ids = [uuid4() for _ in range(4)]
    audience = Audience(site.settings, patience=40)
    async with site.worker():
        for deployment_id in (stays, goes):
            await site.client.command(creation(deployment_id))
        for deployment_id in (stays, goes):
            await audience.until(deployment_id, is_ready)
    back_up()
    async with site.worker():
        # All this the copy does not know: one created, one destroyed, one created and destroyed.
        await site.client.command(creation(comes))
        await site.client.command(creation(passes))
        await site.client.command(c.DestroyDeployment(deployment_id=goes))
        for deployment_id in (comes, passes):
            await audience.until(deployment_id, is_ready)
        await audience.until(goes, is_gone)
        await site.client.command(c.DestroyDeployment(deployment_id=passes))
        await audience.until(passes, lambda row: row.lifecycle.is_ending)
    restore()

    code, said = await site.run("worker")
    assert code == 1
    assert "routekeeper new-incarnation" in said

    code, said = await site.run("new-incarnation", "--actor", "operator")
    assert (code, "incarnation 2 of the log" in said) == (0, True), said
    async with site.worker():
        for deployment_id in (stays, comes):
            await audience.until(deployment_id, is_ready)
        for deployment_id in (goes, passes):
            await audience.until(deployment_id, is_gone)
    stores = stores_of(site.settings)
    with closing(stores.read_log()) as log:
        views = stores.open_views()
        states = await assert_one_story(log, views, site.circuits)
        views.dispose()
    assert set(states) == set(ids)
    assert site.circuits == {stays, comes}
