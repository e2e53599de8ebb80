"""Two and three worker processes on one broker and one PostgreSQL, killed at any instruction."""

import asyncio
from collections import Counter
from contextlib import AbstractAsyncContextManager, closing
from pathlib import Path
from random import Random
from typing import Protocol

import pytest

from adapters.kafka.connection import KafkaConnection
from domain import events as e
from service.stores import stores_of
from tests.backing_services import kafka_source
from tests.fleet.fleet import Fleet, fleet
from tests.fleet.load import make_load
from tests.fleet.storm import CUT, KILL, Strike, assert_exactly_right, storm, until_handled, until_settled
from tests.oracle import whole_log

COMMANDS, DEPLOYMENTS, KILLS = 10_000, 500, 3


class StartFleet(Protocol):
    def __call__(self, workers: int) -> AbstractAsyncContextManager[Fleet]: ...


@pytest.fixture
def start(tmp_path: Path, kafka_connection: KafkaConnection, postgres_database: str) -> StartFleet:
    """Starts so many workers on the broker of the test run, or on an embedded one of their own."""
    kafka = None if kafka_source() == "wheel" else kafka_connection
    return lambda workers: fleet(tmp_path, workers=workers, database_url=postgres_database, kafka=kafka, tell=print)


@pytest.mark.timeout(240)
async def test_three_workers_under_kills_give_every_command_its_one_outcome(start: StartFleet) -> None:
    """10,000 commands for 500 deployments, some sent twice, some poison; 3 kills at random moments.

    Fault 12 in between: all connections to the database are cut.
    """
    load = make_load(7, commands=COMMANDS, deployments=DEPLOYMENTS)
    async with start(3) as three:
        await three.until_owned_by({0, 1, 2})

        await storm(three, load, [KILL, CUT, *[KILL] * (KILLS - 1)], Random(7), tell=print)
        await until_settled(three, load, within=60, tell=print)

        await assert_exactly_right(three, load)


@pytest.mark.timeout(120)
async def test_the_partitions_of_a_killed_worker_move_to_the_one_that_is_left(start: StartFleet) -> None:
    """Both own some before; after the kill one owns all, and what was sent meanwhile comes to its end."""
    load = make_load(8, commands=200, deployments=20)
    async with start(2) as two:
        await two.until_owned_by({0, 1})

        two.kill_for_good(0)
        await storm(two, load, [], Random(8))
        await two.until_owned_by({1})
        await until_settled(two, load, within=60)

        await assert_exactly_right(two, load)


@pytest.mark.timeout(120)
async def test_fault_24_sigterm_under_load_ends_a_worker_cleanly_within_its_grace_time(start: StartFleet) -> None:
    """It exits with 0 and leaves the group; the other one has its partitions, and nothing is lost or done twice."""
    load = make_load(9, commands=3_000, deployments=40)
    handled: list[int] = []
    codes: list[int] = []

    async def terminate(fleet: Fleet, _: Random) -> None:
        process = fleet.workers[0]._process
        assert process is not None
        handled.append(await until_handled(fleet, more_than=0, at_most=len(load.records)))
        process.terminate()
        async with asyncio.timeout(fleet.settings.stop_grace_seconds):
            codes.append(await process.wait())
        fleet.running[0].cancel()

    async with start(2) as two:
        await two.until_owned_by({0, 1})

        await storm(two, load, [Strike("SIGTERM", terminate)], Random(9), tell=print)
        await two.until_owned_by({1})
        await until_settled(two, load, within=60, tell=print)

        last_words = two.log_files[0].read_text()
        assert codes == [0]
        assert 0 < handled[0] < len(load.records)
        assert "Worker stopped" in last_words
        assert "not left cleanly" not in last_words
        assert await calls_without_answer(two) == 0
        await assert_exactly_right(two, load)


async def calls_without_answer(fleet: Fleet) -> int:
    """How many create calls were announced whose answer nobody wrote down, so that somebody had to wait for them."""
    with closing(stores_of(fleet.settings).read_log()) as log:
        kinds = Counter(type(logged.recorded.event) for logged in await whole_log(log))
    answers = kinds[e.EndpointRegistered] + kinds[e.EndpointRegistrationFailed]
    return kinds[e.EndpointRegistrationStarted] - answers
