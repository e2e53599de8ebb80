"""The settings say where the log and the views are; whoever works with them need not know."""

import asyncio
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy import make_url, text

from handlers.ports import LogBatch
from service.settings import DatabaseSettings, Settings
from service.stores import StoreMissing, Stores, stores_of
from tests.adapters.event_log_support import events


@pytest.fixture(params=["sqlite", "postgres"])
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Stores:
    if request.param == "sqlite":
        return stores_of(Settings(data_dir=tmp_path))
    url = SecretStr(request.getfixturevalue("postgres_database"))
    return stores_of(Settings(data_dir=tmp_path, database=DatabaseSettings(url=url)))


async def test_what_is_written_to_the_log_is_there_for_whoever_reads(stores: Stores) -> None:
    with closing(stores.open_log()) as log, closing(stores.read_log()) as reading:
        await log.append(LogBatch(events=events(2)))

        assert await reading.head() == 2


def test_before_anything_was_written_there_is_nothing_to_read(tmp_path: Path) -> None:
    stores = stores_of(Settings(data_dir=tmp_path))

    for read in (stores.read_log, stores.read_views):
        with pytest.raises(StoreMissing):
            read()
    assert list(tmp_path.iterdir()) == []


async def test_work_that_is_to_run_alone_runs(stores: Stores) -> None:
    done = asyncio.Event()

    async def work() -> None:
        done.set()

    await stores.run_alone("views", work, asyncio.Event())

    assert done.is_set()


async def test_workers_that_share_a_database_hear_of_each_others_appends(
    postgres_database: str, tmp_path: Path
) -> None:
    database = DatabaseSettings(url=SecretStr(postgres_database))
    ours, theirs = (stores_of(Settings(data_dir=tmp_path, database=database)) for _ in range(2))
    heard = asyncio.Queue[None]()
    listening = asyncio.create_task(ours.take_part(lambda: heard.put_nowait(None)))
    await heard.get()  # listening has begun

    with closing(theirs.open_log()) as log:
        await log.append(LogBatch(events=events(1)))

    async with asyncio.timeout(10):
        await heard.get()
    listening.cancel()
    with suppress(asyncio.CancelledError):
        await listening


@pytest.fixture
def other_database(postgres_url: str) -> Iterator[str]:
    """A second database."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
        yield make_url(postgres_url).set(database=name).render_as_string(hide_password=False)
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


def test_the_views_may_be_in_a_database_of_their_own(
    postgres_database: str, other_database: str, tmp_path: Path
) -> None:
    database = DatabaseSettings(
        url=SecretStr(postgres_database), views_url=SecretStr(other_database), views_schema="shown"
    )
    stores = stores_of(Settings(data_dir=tmp_path, database=database))

    said = list(stores.create())

    assert any("schema shown: created the schema" in line for line in said)
    engine = stores.open_views()
    with engine.connect() as connection:
        place = connection.execute(text("SELECT current_database(), current_schema()")).one()
    engine.dispose()
    assert tuple(place) == (make_url(other_database).database, "shown")


def test_neither_the_places_nor_the_settings_show_the_password(tmp_path: Path) -> None:
    url = SecretStr("postgresql://me:s3cr3t@db.example/control")
    settings = Settings(data_dir=tmp_path, database=DatabaseSettings(url=url, views_url=url))
    stores = stores_of(settings)

    shown = f"{stores.log_place} {stores.views_place} {stores!r} {settings!r} {settings.model_dump()}"

    assert "me@db.example/control" in shown
    assert "s3cr3t" not in shown
