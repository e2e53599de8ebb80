"""How long it takes from a command being sent until its endpoint is registered at the proxy and visible in the view.

A whole worker runs, and beside it a process with everything that follows the log; the proxy answers at once. Each
command begins a deployment with a revision, so that it is due at once.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from statistics import quantiles

import psycopg

from adapters.kafka.topics import Topics
from bench.audience import Audience, distant_proxy
from bench.follower import distant_follower
from bench.instant_proxy import targets_file
from bench.surroundings import Surroundings, in_database
from handlers.proxy_calls import ProxyCallLimits
from service.admin.port import AdminPort
from service.bootstrap import utc_now
from service.settings import AdminSettings, ProxySettings
from service.worker_parts import open_worker

#: The default of two is for a real proxy, which is slower with more; this one is not.
_CALLS_AT_A_TIME = 16

_THERE = "SELECT to_regclass('routekeeper_views.deployments')"


async def latencies(site: Surroundings, rate: int, *, seconds: float = 3.0) -> dict[str, float]:
    """The median, the 99th percentile and the longest, in milliseconds, at so many commands a second."""
    topics = await site.new_topics()
    async with _running(site, topics) as views:
        audience = Audience(site.broker.connection, topics.commands, views)
        await audience.see(rate, int(rate / 2) + 1)
        sightings = await audience.see(rate, int(rate * seconds))
    milliseconds = sorted((each.seen - each.due) * 1_000 for each in sightings)
    cuts = quantiles(milliseconds, n=100)
    return {"p50": round(cuts[49], 1), "p99": round(cuts[98], 1), "max": round(milliseconds[-1], 1)}


async def _views_are_there(address: str) -> None:
    async with await psycopg.AsyncConnection.connect(address, autocommit=True) as connection, asyncio.timeout(60):
        while (await (await connection.execute(_THERE)).fetchone()) == (None,):  # noqa: ASYNC110 - it is another process
            await asyncio.sleep(0.05)


@asynccontextmanager
async def _running(site: Surroundings, topics: Topics) -> AsyncIterator[str]:
    """A worker, ready; gives the address of the views."""
    address = site.new_database()
    settings, access = site.new_group(topics)
    # The embedded broker does not notice new records while it holds back an answer, so it must not hold it back long.
    access = replace(access, consumer=replace(access.consumer, fetch_max_wait=0.005))
    stop = asyncio.Event()
    async with distant_proxy() as proxy:
        settings = in_database(settings, address).model_copy(
            update={
                "proxy_targets_file": targets_file(site.folder, proxy),
                "proxy": ProxySettings(limits=ProxyCallLimits(concurrency=_CALLS_AT_A_TIME)),
                "follow_log": False,
            }
        )
        admin = AdminPort(AdminSettings(), clock=utc_now)
        async with (
            open_worker(settings, access, topics.partitions, admin) as worker,
            distant_follower(settings, access),
        ):
            running = asyncio.create_task(worker.run(stop))
            try:
                while not (worker.consumer.has_joined and worker.consumer.is_prepared):  # noqa: ASYNC110 - tells nobody
                    await asyncio.sleep(0.05)
                await _views_are_there(address)
                yield address
            finally:
                stop.set()
                await running
