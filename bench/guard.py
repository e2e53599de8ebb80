"""Fails where the intake has become much dearer: ``python -m bench.guard``, or ``make bench-check``.

What is compared is the processor's time for a command, the projector's included, as a multiple of the floor's in the
same run: neighbours on the machine, its disk and its clock speed change that little. The smallest of some interleaved
runs counts.
"""

import asyncio
import sys
import time
import warnings
from typing import Final

from bench.floor import floor_rate
from bench.intake import handle_all, prepared
from bench.load import new_ids, replica_commands
from bench.surroundings import Surroundings, surroundings
from service.garbage import look_for_garbage_seldom

_RUNS, _COMMANDS, _DEPLOYMENTS = 3, 10_000, 1_000

#: Most that a command may cost, in multiples of the floor: about half as much again as when this was written.
MOST_INTAKE: Final = 10.5
MOST_WITH_PROJECTIONS: Final = 15.0


async def multiples(site: Surroundings) -> tuple[float, float]:
    """What a command costs, decided and committed, and projected as well, in multiples of the floor."""
    topics = await site.new_topics()
    ids = new_ids(_DEPLOYMENTS)
    await site.produce(topics.commands, replica_commands(ids, _COMMANDS))
    floor: list[float] = []
    costs: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(_RUNS):
        busy = time.process_time()
        await floor_rate(site, topics.commands, _COMMANDS)
        floor.append((time.process_time() - busy) / _COMMANDS * 1e6)
        for views, some in costs.items():
            settings, access = await prepared(site, topics, ids)
            some.append((await handle_all(settings, access, _COMMANDS, views=views)).cpu_microseconds)
    intake, both = min(costs[False]), min(costs[True])
    print(f"microseconds a command: floor {min(floor):.1f}, intake {intake:.1f}, with projections {both:.1f}")
    return intake / min(floor), both / min(floor)


async def main() -> int:
    """Measure, say what was found, and give the exit code."""
    async with surroundings() as site:
        intake, both = await multiples(site)
    print(f"intake: {intake:.1f} times the floor (at most {MOST_INTAKE})")
    print(f"intake and projections: {both:.1f} times the floor (at most {MOST_WITH_PROJECTIONS})")
    return int(intake > MOST_INTAKE or both > MOST_WITH_PROJECTIONS)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    look_for_garbage_seldom()
    sys.exit(asyncio.run(main()))
