"""Nobody is alone with the log while somebody works on it, whatever that one does, and the other way round."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import asdict
from pathlib import Path

import pytest
from pydantic import SecretStr

from adapters.kafka.connection import KafkaConnection
from adapters.kafka.consumer_settings import ConsumerSettings
from adapters.kafka.topics import Topics
from service.bootstrap import utc_now
from service.kafka_access import KafkaAccess
from service.log_sharing import LOG_LOCK, LogBegunAnew, LogTaken, check_incarnation
from service.new_incarnation import WorkersRunning, begin_incarnation
from service.settings import DatabaseSettings, KafkaSettings, Settings
from service.stores import Stores, stores_of
from tests.running_worker import free_port, running_follower, running_worker


@pytest.fixture(params=["sqlite", "postgres"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    if request.param == "sqlite":
        return Settings(data_dir=tmp_path)
    url = SecretStr(request.getfixturevalue("postgres_database"))
    return Settings(data_dir=tmp_path, database=DatabaseSettings(url=url))


@pytest.fixture
def stores(settings: Settings) -> Stores:
    """Where a log has been made."""
    stores = stores_of(settings)
    stores.open_log().close()
    return stores


@pytest.fixture
def access(kafka: KafkaConnection, consumer_settings: ConsumerSettings) -> KafkaAccess:
    return KafkaAccess(connection=kafka, epoch="1", consumer=consumer_settings)


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks to be alone with the log does not wait long."""
    monkeypatch.setattr("service.new_incarnation._PATIENCE", 0.2)


@asynccontextmanager
async def alone_with(stores: Stores) -> AsyncIterator[None]:
    begun, done = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        await done.wait()

    working = asyncio.create_task(stores.run_alone(LOG_LOCK, work, asyncio.Event()))
    await asyncio.wait_for(begun.wait(), 10)
    yield
    done.set()
    await working


async def test_nobody_takes_part_in_the_work_while_somebody_is_alone_with_the_log(stores: Stores) -> None:
    """The words say what to wait for, and in the end the worker can be started."""
    async with alone_with(stores):
        with pytest.raises(LogTaken, match="new-incarnation' is at work on the log: start again when it is done"):
            await stores.take_part(lambda: None)

    joined = asyncio.Event()

    async def join() -> None:
        joined.set()

    taking_part = asyncio.ensure_future(stores.take_part(lambda: None, join))
    await asyncio.wait_for(joined.wait(), 10)
    assert not taking_part.done()
    taking_part.cancel()
    with suppress(asyncio.CancelledError):
        await taking_part


@pytest.mark.parametrize("settings", ["postgres"], indirect=True)
async def test_a_worker_that_starts_while_somebody_is_alone_with_the_log_ends_and_says_why(
    settings: Settings, stores: Stores, topics: Topics, kafka: KafkaConnection
) -> None:
    """What it has read of the log may be void."""
    async with alone_with(stores):
        worker = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "service", "worker"),
            env={**os.environ, **environment(settings, kafka, topics)},
            stderr=asyncio.subprocess.PIPE,
        )
        _, said = await worker.communicate()

    assert worker.returncode == 1
    assert f"The worker cannot go on: {LogTaken()}" in said.decode()


@pytest.mark.parametrize("settings", ["postgres"], indirect=True)
@pytest.mark.usefixtures("patience")
async def test_a_new_incarnation_is_refused_until_workers_are_gone_that_do_not_follow_the_log(
    settings: Settings, topics: Topics, access: KafkaAccess
) -> None:
    settings = settings.model_copy(update={"kafka": KafkaSettings(topics=topics), "follow_log": False})
    stores = stores_of(settings)
    async with running_worker(settings, access) as worker:
        await worker.until_ready()

        with pytest.raises(WorkersRunning, match="stop every worker, whether it follows the log or not") as refused:
            await begin_incarnation(settings, stores, access, now=utc_now(), actor="operator")

    assert stores.log_place in str(refused.value)
    done = await begin_incarnation(settings, stores, access, now=utc_now(), actor="operator")
    assert done.incarnation == 2


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
@pytest.mark.usefixtures("patience")
async def test_a_new_incarnation_is_refused_while_a_follower_runs(
    settings: Settings, topics: Topics, access: KafkaAccess
) -> None:
    settings = settings.model_copy(update={"kafka": KafkaSettings(topics=topics)})
    stores = stores_of(settings)
    async with running_follower(settings, access) as follower:
        await follower.until_ready()

        with pytest.raises(WorkersRunning, match="every 'routekeeper follow'"):
            await begin_incarnation(settings, stores, access, now=utc_now(), actor="operator")


@pytest.mark.parametrize("settings", ["postgres"], indirect=True)
async def test_who_was_away_while_a_new_incarnation_began_ends_when_it_takes_part_again(
    settings: Settings, topics: Topics, access: KafkaAccess
) -> None:
    """Its session was lost, and whoever was alone with the log meanwhile is done: the lock tells nothing of that."""
    settings = settings.model_copy(update={"kafka": KafkaSettings(topics=topics)})
    stores, looked = stores_of(settings), asyncio.Queue[None]()
    with closing(stores.open_log()) as log:

        async def joined() -> None:
            await check_incarnation(log, 1)
            looked.put_nowait(None)

        taking_part = asyncio.ensure_future(stores.take_part(lambda: None, joined))
        await asyncio.wait_for(looked.get(), 10)
        taking_part.cancel()
        with suppress(asyncio.CancelledError):
            await taking_part
        await begin_incarnation(settings, stores, access, now=utc_now(), actor="operator")

        with pytest.raises(LogBegunAnew, match="the log is in incarnation 2, and this process knows incarnation 1"):
            await stores.take_part(lambda: None, joined)


def environment(settings: Settings, kafka: KafkaConnection, topics: Topics) -> Mapping[str, str]:
    """The settings of a worker that does not follow the log."""
    assert settings.database.url is not None
    return {
        "ROUTEKEEPER_DATA_DIR": str(settings.data_dir),
        "ROUTEKEEPER_DATABASE__URL": settings.database.url.get_secret_value(),
        "ROUTEKEEPER_FOLLOW_LOG": "false",
        "ROUTEKEEPER_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "ROUTEKEEPER_KAFKA__IDEMPOTENT_PRODUCERS": str(kafka.has_idempotent_producers),
        **{f"ROUTEKEEPER_KAFKA__TOPICS__{name.upper()}": str(value) for name, value in asdict(topics).items()},
        "ROUTEKEEPER_ADMIN__PORT": str(free_port()),
    }
