"""Workers in processes of their own that share the work: how many commands a second one handles, and how many two.

A fleet stays up between its rounds, idle. In a round commands are produced while the fleet handles them, so that what
one worker and two come to can be compared with each other, and not with what finds its records there.
"""

import asyncio
import multiprocessing
import multiprocessing.connection
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from statistics import median
from uuid import UUID

from adapters.kafka.consumer import RecordConsumer
from adapters.kafka.topics import Topics
from bench.intake import prepared
from bench.load import new_ids, policy_commands
from bench.planes import plane_over
from bench.surroundings import Surroundings
from handlers.commit import Commit
from service.garbage import look_for_garbage_seldom
from service.kafka_access import KafkaAccess
from service.settings import Settings
from service.stores import stores_of

_DEPLOYMENTS = 1_000


async def fleet_rates(site: Surroundings, runs: int, commands: int) -> dict[str, float]:
    """Commands a second by the number of workers, medians of interleaved rounds of so many commands (counts)."""
    rates: dict[int, list[float]] = {1: [], 2: []}
    async with AsyncExitStack() as stack:
        fleets = {size: await stack.enter_async_context(_fleet(site, size)) for size in rates}
        for number in range(runs):
            for size, fleet in fleets.items():
                rates[size].append(await fleet.round(number, commands))
    return {f"{size} worker{'s' * (size > 1)}": round(median(some)) for size, some in rates.items()}


class _Fleet:
    def __init__(self, site: Surroundings, topics: Topics, ids: Sequence[UUID], workers: Sequence[Connection]) -> None:
        self._site = site
        self._topics = topics
        self._ids = ids
        self._workers = workers

    async def round(self, number: int, commands: int) -> float:
        records = policy_commands(self._ids, commands, source=f"/bench/{number}")
        begun = time.monotonic()
        producing = asyncio.create_task(self._site.produce(self._topics.commands, records))
        ended = await asyncio.to_thread(self._wait_for, commands)
        await producing
        return commands / (ended - begun)

    def _wait_for(self, commands: int) -> float:
        """When the last of so many was committed."""
        handled, latest = 0, 0.0
        while handled < commands:
            said = multiprocessing.connection.wait(self._workers)
            for worker in filter(said.__contains__, self._workers):
                count, at = worker.recv()
                handled, latest = handled + count, max(latest, at)
        return latest


@asynccontextmanager
async def _fleet(site: Surroundings, size: int) -> AsyncIterator[_Fleet]:
    """So many workers, each with its share of the partitions; ended with the block."""
    topics, ids = await site.new_topics(), new_ids(_DEPLOYMENTS)
    settings, access = await prepared(site, topics, ids)
    context = multiprocessing.get_context("spawn")
    processes: list[SpawnProcess] = []
    workers: list[Connection] = []
    try:
        for _ in range(size):
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs, settings, access, topics.partitions // size))
            process.start()
            theirs.close()
            processes.append(process)
            workers.append(ours)
        for worker in workers:
            await asyncio.to_thread(worker.recv)
        yield _Fleet(site, topics, ids, workers)
    finally:
        for process in processes:
            process.terminate()
            await asyncio.to_thread(process.join)


def _work(parent: Connection, settings: Settings, access: KafkaAccess, share: int) -> None:
    look_for_garbage_seldom()
    asyncio.run(_worked(parent, settings, access, share))


async def _worked(parent: Connection, settings: Settings, access: KafkaAccess, share: int) -> None:
    """Say once that this worker has its share (partitions), and then of each commit how much it held, and when."""

    def tell(commit: Commit) -> None:
        parent.send((len(commit.events), time.monotonic()))

    with closing(stores_of(settings).open_log()) as log:
        plane = plane_over(settings, log)
        plane.decider.listen(tell)
        topics = settings.kafka.topics
        consumer = RecordConsumer(plane.intake, access.connection, topics, epoch=access.epoch, settings=access.consumer)
        async with asyncio.TaskGroup() as group:
            group.create_task(plane.decider.run())
            group.create_task(consumer.run(asyncio.Event()))
            while len(plane.ownership.partitions) != share or not consumer.is_prepared:  # noqa: ASYNC110 - tells nobody
                await asyncio.sleep(0.05)
            parent.send(None)
