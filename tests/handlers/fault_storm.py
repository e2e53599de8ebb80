"""Runs a simulation for each of many seeds and checks the oracle after each."""

import random
from collections import Counter
from collections.abc import Sequence

from tests.handlers.fault_oracle import check
from tests.handlers.fault_plan import Faults, Plan
from tests.handlers.fault_world import World
from tests.handlers.virtual_time import simulate


def storm(seeds: Sequence[int], faults: Faults) -> Counter[str]:
    """Simulate once for each seed, and give how often each fault has struck in all."""
    struck: Counter[str] = Counter()
    for seed in seeds:
        random.seed(seed)  # what spreads retries by chance is to do so by the seed too
        plan = Plan(seed, faults)
        try:
            simulate(_weather(plan))
        except AssertionError as error:
            error.add_note(f"seed {seed} of {faults}")
            raise
        struck += plan.injected
    return struck


async def _weather(plan: Plan) -> None:
    world = World(plan)
    try:
        await world.run()
        await check(world)
    finally:
        world.close()
