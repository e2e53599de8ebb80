"""The long run: ``make soak``. Many kills, the broker and the database restarted in between, then the oracle.

The seed is printed first; the same one gives the same commands and the same order of strikes.
"""

import argparse
import asyncio
import logging
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import psycopg

from adapters.kafka.connection import KafkaConnection
from service.embedded import find_embedded
from tests.apache_kafka_broker import ApacheKafkaBroker
from tests.backing_services import (
    crash_and_recover,
    embedded_postgres_server,
    in_words,
    kafka_broker,
    kafka_source,
    postgres_source,
)
from tests.fleet.fleet import Fleet, fleet
from tests.fleet.load import make_load
from tests.fleet.storm import CUT, KILL, Strike, assert_exactly_right, storm, until_settled

#: How long a frozen broker stays so (seconds).
_FROZEN_SECONDS = 4.0


@asynccontextmanager
async def broker(folder: Path) -> AsyncIterator[tuple[KafkaConnection | None, Strike | None]]:
    """A broker, and how it is struck; no connection for the embedded one, which the fleet starts itself."""
    match kafka_source():
        case "apache":
            async with ApacheKafkaBroker(folder) as apache:

                async def restart(_: Fleet, __: Random) -> None:
                    await apache.stop()
                    await apache.start()

                yield apache.connection, Strike("restart of the broker", restart, is_calm=True)
        case "wheel":
            # What it holds is in memory, so it cannot be ended; frozen it does not answer either.
            yield None, Strike(f"broker frozen for {_FROZEN_SECONDS:g} s", _freeze, is_calm=True)
        case _:
            async with kafka_broker(folder) as running:
                yield running.connection, None


async def _freeze(fleet: Fleet, _: Random) -> None:
    parts = find_embedded(fleet.settings.data_dir)
    assert parts is not None
    os.kill(parts.broker_pid, signal.SIGSTOP)
    await asyncio.sleep(_FROZEN_SECONDS)
    os.kill(parts.broker_pid, signal.SIGCONT)


@asynccontextmanager
async def database() -> AsyncIterator[tuple[str, Strike]]:
    """A database, and how it is struck; somebody else's server is not restarted."""
    if postgres_source() == "address":
        yield os.environ["ROUTEKEEPER_TEST_POSTGRES"], CUT
        return
    with embedded_postgres_server() as server:

        async def restart(_: Fleet, __: Random) -> None:
            await asyncio.to_thread(crash_and_recover, server)

        yield server.get_uri(), Strike("crash and restart of the database", restart)


def plan(dice: Random, *, kills: int, restarts: int, others: list[Strike]) -> list[Strike]:
    """So many kills, and among them each of the others so often (counts), in a random order."""
    strikes = [*[KILL] * kills, *others * restarts, CUT]
    dice.shuffle(strikes)
    return strikes


async def soak(options: argparse.Namespace, folder: Path, tell: Callable[[str], None]) -> None:
    """Run all of it. Raises :class:`AssertionError` where something was lost or done twice."""
    dice = Random(options.seed)
    load = make_load(options.seed, commands=options.commands, deployments=options.deployments)
    async with broker(folder / "broker") as (kafka, strike_broker), database() as (url, strike_database):
        others = [each for each in (strike_broker, strike_database) if each is not None]
        strikes = plan(dice, kills=options.kills, restarts=options.restarts, others=others)
        async with fleet(folder, workers=options.workers, database_url=url, kafka=kafka, tell=tell) as workers:
            await workers.until_owned_by(range(options.workers))
            tell(f"{options.workers} workers share the partitions; {len(load.records)} records, {len(strikes)} strikes")
            await storm(workers, load, strikes, dice, tell=tell, pause=options.pause)
            tell("all is sent, and nothing is struck any more")
            await until_settled(workers, load, within=120, tell=tell)
            tell("every deployment is as it has to be; the oracle is asked")
            await assert_exactly_right(workers, load)


def main() -> int:
    """Read the command line, run, and say how it ended; gives the exit code."""
    options = _arguments()
    # While a broker is away its clients say so a hundred times a second.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    started = time.monotonic()

    def tell(sentence: str) -> None:
        sys.stdout.write(f"{time.monotonic() - started:7.1f} s  {sentence}\n")
        sys.stdout.flush()

    tell(f"seed {options.seed} (again: make soak SEED={options.seed})")
    tell(in_words())
    folder = Path(tempfile.mkdtemp(prefix="routekeeper-soak-"))
    try:
        asyncio.run(soak(options, folder, tell))
    except (AssertionError, TimeoutError, psycopg.Error) as error:
        traceback.print_exception(error)
        tell(f"FAILED with seed {options.seed}; the workers' logs are in {folder}")
        return 1
    shutil.rmtree(folder)
    tell(f"exactly right: {options.commands} commands, {options.deployments} deployments, {options.kills} kills")
    return 0


def _arguments() -> Any:  # noqa: ANN401 - what argparse gives
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--kills", type=int, default=20, help="kill -9 of a worker, so many times")
    parser.add_argument(
        "--restarts", type=int, default=2, help="of the broker, and of the database, so many times each"
    )
    parser.add_argument("--commands", type=int, default=10_000)
    parser.add_argument("--deployments", type=int, default=500)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--pause", type=float, default=3.0, help="longest time between two strikes (seconds)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
