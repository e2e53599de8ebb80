"""What the number of deployments costs: start-up, the processor's time for a command, and memory.

Each number is taken in a process of its own, in which a whole worker starts on a log that holds so many running
deployments, and whose followers have come to its end before, as after a restart. It handles the same number of
commands for the same number of deployments whatever there are in all, and keeps no more than so many in memory.
Then each of the others gets one command, so that everything that a worker notes of a deployment is there.
"""

import asyncio
import multiprocessing
import resource
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from uuid import UUID

from adapters.event_store.tree_keeper import TreeKeeper
from adapters.kafka.topics import Topics
from bench.load import new_ids, policy_commands, write_running
from bench.surroundings import Surroundings, in_database
from handlers.commit import Commit
from projections.catalogue import VIEWS
from projections.runner import ProjectionRunner
from service.admin.port import AdminPort
from service.bootstrap import utc_now
from service.garbage import look_for_garbage_seldom
from service.kafka_access import KafkaAccess
from service.settings import AdminSettings, Settings
from service.stores import stores_of
from service.worker_parts import open_worker

#: Deployments that commands are for, and that are kept in memory, and commands for them (count).
_ADDRESSED, _COMMANDS = 500, 5_000

#: How much of the commands is left out of their cost: deployments are loaded for the first ones (count).
_WARM = 1_000

#: From how many on the memory of each is told from what memory does otherwise (count).
_ENOUGH = 5_000

#: The longest that a measurement may take (seconds).
_PATIENCE = 600.0


async def cost_with(site: Surroundings, deployments: int, *, routes: int = 10) -> dict[str, float]:
    """Fill a log with so many running deployments, and see what a worker on it costs.

    ``first_seconds``: from the start of its process to the first commit; ``resident_mib``: memory after the commands
    (Linux only); ``cpu_microseconds``: the processor's time for a command, all views and publishing included;
    ``bytes_kept_of_each``: memory that a deployment takes which is in no cache.
    """
    ids = new_ids(deployments)
    topics = await site.new_topics()
    settings, access = site.new_group(topics)
    settings = in_database(settings, site.new_database())
    await prepare(settings, access, ids, routes)
    return await cost_of(site, settings, access, topics, ids)


async def prepare(settings: Settings, access: KafkaAccess, ids: Sequence[UUID], routes: int) -> None:
    """Write the log, and let everybody who follows it come to its end."""
    stores = stores_of(settings)
    with closing(stores.open_log()) as log, closing(stores.open_tree()) as tree:
        await write_running(log, ids, routes=routes)
        engine = stores.open_views()
        await ProjectionRunner(engine, VIEWS, log, batch_size=5_000, cached_rows=10_000).catch_up()
        engine.dispose()
        keeper = TreeKeeper(tree, batch_size=20_000)
        while keeper.step():
            pass
        await log.move_follower(f"publisher/{access.epoch}", expected=0, following=await log.head())


async def cost_of(
    site: Surroundings, settings: Settings, access: KafkaAccess, topics: Topics, ids: Sequence[UUID]
) -> dict[str, float]:
    """See what a worker costs on a log that is prepared."""
    addressed = ids[:: max(1, len(ids) // _ADDRESSED)][:_ADDRESSED]
    others = [key for key in ids if key not in set(addressed)]
    decider = replace(settings.decider, cached_deployments=_ADDRESSED)
    settings = settings.model_copy(update={"decider": decider})
    await site.produce(topics.commands, policy_commands(addressed, _COMMANDS))
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, settings, access, topics.partitions, len(others)))
    begun = time.monotonic()
    process.start()
    theirs.close()
    try:
        first, busy, resident = await asyncio.to_thread(ours.recv)
        await site.produce(topics.commands, policy_commands(others, len(others), source="/bench/others"))
        in_the_end = await asyncio.to_thread(ours.recv)
    finally:
        await asyncio.to_thread(process.join)
    costs = {
        "first_seconds": round(first - begun, 2),
        "resident_mib": round(resident / 2**20, 1),
        "cpu_microseconds": round(busy * 1e6, 1),
    }
    if len(others) >= _ENOUGH:
        costs["bytes_kept_of_each"] = round((in_the_end - resident) / len(others))
    return costs


def _work(parent: Connection, settings: Settings, access: KafkaAccess, partitions: int, others: int) -> None:
    look_for_garbage_seldom()
    asyncio.run(_worked(parent, settings, access, partitions, others))


async def _worked(parent: Connection, settings: Settings, access: KafkaAccess, partitions: int, others: int) -> None:
    """Tell the parent of the first commands, and, when it has sent the others, of the end."""
    stop, seen = asyncio.Event(), _Seen(others)
    async with open_worker(settings, access, partitions, AdminPort(AdminSettings(), clock=utc_now)) as worker:
        worker.plane.decider.listen(seen)
        running = asyncio.create_task(worker.run(stop))
        async with asyncio.timeout(_PATIENCE):
            await seen.addressed.wait()
            parent.send((seen.first_at, seen.seconds_each, _resident()))
            await seen.all.wait()
            parent.send(_resident())
        stop.set()
        await running


class _Seen:
    """Counts commits as they happen; ``first_at`` is by the clock that all processes share."""

    def __init__(self, others: int) -> None:
        self.first_at = self.seconds_each = 0.0
        self.addressed, self.all = asyncio.Event(), asyncio.Event()
        self._others = others
        self._count = self._warm = 0
        self._busy = 0.0

    def __call__(self, commit: Commit) -> None:
        if not self.first_at and commit.events:
            self.first_at = time.monotonic()
        self._count += len(commit.events)
        if not self._warm and self._count >= _WARM:
            self._warm, self._busy = self._count, time.process_time()
        if self._count >= _COMMANDS and not self.addressed.is_set():
            self.seconds_each = (time.process_time() - self._busy) / (self._count - self._warm)
            self.addressed.set()
        if self._count >= _COMMANDS + self._others:
            self.all.set()


def _resident() -> int:
    # What getrusage says begins with the memory of the process that started this one.
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
