"""Whether calls to a proxy keep its limit used: how many are under way on average, as a share of how many may be.

The proxy is a double that takes some time to answer; everything else is as in ``bench/reconcile.py``, and stands
between one call and the next only if it does not keep up.
"""

import asyncio
import time
from contextlib import closing
from typing import Any, Final

from bench.executor_bench import Answer
from bench.load import creation, new_ids
from bench.planes import deciding, plane_over
from bench.reconcile import TARGETS, rate_of
from bench.surroundings import Surroundings, in_database
from domain import commands as c
from domain.operations import Operation
from handlers.proxy_calls import ProxyCallLimits
from service.settings import ProxySettings
from service.stores import stores_of

#: How long the proxy takes for a call (seconds).
_ANSWER_SECONDS: Final = 0.01


class SlowPool:
    """Is its own session, answers after a while, and adds up for how long calls are under way (seconds)."""

    def __init__(self) -> None:
        self.busy = 0.0

    def load_client_session(self) -> "SlowPool":
        return self

    async def request(self, method: str, url: str, **_: Any) -> Answer:  # noqa: ANN401, ARG002 - as the port has it
        begun = time.perf_counter()
        await asyncio.sleep(_ANSWER_SECONDS)
        self.busy += time.perf_counter() - begun
        return Answer()


async def saturation(site: Surroundings, concurrency: int, deployments: int) -> dict[str, float]:
    """Average calls under way to the limit (a ratio) by operation, for so many calls at a time and deployments."""
    settings, _ = site.new_group(await site.new_topics())
    settings = in_database(settings, site.new_database()).model_copy(
        update={"proxy": ProxySettings(limits=ProxyCallLimits(concurrency=concurrency))}
    )
    ids, pool, used = new_ids(deployments), SlowPool(), {}
    with closing(stores_of(settings).open_log()) as log:
        plane = plane_over(settings, log, client_pool=pool, proxy_targets=TARGETS)
        async with deciding(plane, settings):
            await plane.decider.execute([creation(key) for key in ids], "bench")
            for operation in (Operation.CHECK_PENDING, Operation.DESTROY):
                if operation is Operation.DESTROY:
                    await plane.decider.execute([c.DestroyDeployment(deployment_id=key) for key in ids], "bench")
                pool.busy = 0.0
                rate = await rate_of(plane, operation, ids, settings)
                used[operation.value] = round(pool.busy / (deployments / rate) / concurrency, 3)
    return used
