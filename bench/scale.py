"""What the number of deployments costs: start-up, memory, and the processor's time for a command.

Each number is taken in a process of its own, which starts as a worker does and handles commands for some of the
deployments, the same number whatever there are in all. So the cost of a command holds loading a deployment once.
"""

import asyncio
import multiprocessing
import resource
from contextlib import closing
from pathlib import Path

from bench.intake import handle_all
from bench.load import new_ids, replica_commands, write_running
from bench.surroundings import Surroundings, in_database
from service.garbage import look_for_garbage_seldom
from service.kafka_access import KafkaAccess
from service.settings import Settings
from service.stores import stores_of

#: Deployments that commands are for, and commands (count).
_ADDRESSED, _COMMANDS = 500, 4_000


async def cost_with(site: Surroundings, deployments: int, *, routes: int = 10) -> dict[str, float]:
    """Fill a log with so many running deployments, and see what a worker on it costs.

    ``first_seconds``: from the start to the first commit; ``resident_mib``: memory at the end
    (Linux only); ``cpu_microseconds``: the processor's time for a command.
    """
    ids = new_ids(deployments)
    topics = await site.new_topics()
    settings, access = site.new_group(topics)
    settings = in_database(settings, site.new_database())
    with closing(stores_of(settings).open_log()) as log:
        await write_running(log, ids, routes=routes)
    addressed = ids[:: max(1, deployments // _ADDRESSED)][:_ADDRESSED]
    await site.produce(topics.commands, replica_commands(addressed, _COMMANDS, above=routes))
    return await asyncio.to_thread(_in_a_process, settings, access)


def _in_a_process(settings: Settings, access: KafkaAccess) -> dict[str, float]:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_cost, (settings, access))


def _cost(settings: Settings, access: KafkaAccess) -> dict[str, float]:
    look_for_garbage_seldom()
    handled = asyncio.run(handle_all(settings, access, _COMMANDS))
    # What getrusage says begins with the memory of the process that started this one.
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20
    return {
        "first_seconds": round(handled.first_seconds, 2),
        "resident_mib": round(resident, 1),
        "cpu_microseconds": round(handled.cpu_microseconds, 1),
    }
