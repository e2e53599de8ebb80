"""How long it takes from a command being sent until its endpoint is registered at the proxy and visible in the view.

A whole worker runs, with everything that follows the log; the proxy answers at once. Each command begins a deployment
with a revision, so that it is due at once. The time of a command runs from when it was to be sent, so that a worker
that falls behind is not flattered by a sender that waits for it.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from statistics import quantiles
from uuid import uuid4

import psycopg
from aiokafka import AIOKafkaProducer

from adapters.kafka.encoding import encode_command
from adapters.kafka.topics import Topics
from bench.instant_proxy import instant_proxy, targets_file
from bench.load import BEGUN, creation
from bench.surroundings import Surroundings, in_database
from handlers.proxy_calls import ProxyCallLimits
from service.admin.port import AdminPort
from service.bootstrap import utc_now
from service.settings import AdminSettings, ProxySettings
from service.worker_parts import open_worker

#: How often the view is asked (seconds): what is measured may be too long by as much.
_LOOK_SECONDS = 0.002

#: The default of two is for a real proxy, which is slower with more; this one is not.
_CALLS_AT_A_TIME = 16

_VISIBLE = "SELECT id FROM deployments WHERE endpoint_url IS NOT NULL AND id = ANY(%s)"


async def latencies(site: Surroundings, rate: int, *, seconds: float = 3.0) -> dict[str, float]:
    """The median, the 99th percentile and the longest, in milliseconds, at so many commands a second."""
    topics = await site.new_topics()
    async with _running(site, topics) as views:
        await _send_and_see(site, topics, views, rate, int(rate / 2) + 1)
        taken = await _send_and_see(site, topics, views, rate, int(rate * seconds))
    milliseconds = sorted(each * 1_000 for each in taken)
    cuts = quantiles(milliseconds, n=100)
    return {"p50": round(cuts[49], 1), "p99": round(cuts[98], 1), "max": round(milliseconds[-1], 1)}


@asynccontextmanager
async def _running(site: Surroundings, topics: Topics) -> AsyncIterator[str]:
    """A worker, ready; gives the address of the views."""
    address = site.new_database()
    settings, access = site.new_group(topics)
    # The embedded broker does not notice new records while it holds back an answer, so it must not hold it back long.
    access = replace(access, consumer=replace(access.consumer, fetch_max_wait=0.005))
    stop = asyncio.Event()
    async with instant_proxy() as proxy:
        settings = in_database(settings, address).model_copy(
            update={
                "proxy_targets_file": targets_file(site.folder, proxy),
                "proxy": ProxySettings(limits=ProxyCallLimits(concurrency=_CALLS_AT_A_TIME)),
            }
        )
        admin = AdminPort(AdminSettings(), clock=utc_now)
        async with open_worker(settings, access, topics.partitions, admin) as worker:
            running = asyncio.create_task(worker.run(stop))
            try:
                while not (worker.consumer.has_joined and worker.consumer.is_prepared):  # noqa: ASYNC110 - tells nobody
                    await asyncio.sleep(0.05)
                yield address
            finally:
                stop.set()
                await running


async def _send_and_see(site: Surroundings, topics: Topics, views: str, rate: int, count: int) -> Sequence[float]:
    due: dict[str, float] = {}
    taken: list[float] = []
    producer = AIOKafkaProducer(**site.broker.connection.client_options())
    await producer.start()
    connection = await psycopg.AsyncConnection.connect(
        views, autocommit=True, options="-c search_path=routekeeper_views"
    )
    try:
        async with connection, asyncio.timeout(60 + count / rate * 10):
            sending = asyncio.create_task(_send(producer, topics, rate, count, due))
            while len(taken) < count:
                await asyncio.sleep(_LOOK_SECONDS)
                rows = await (await connection.execute(_VISIBLE, [list(due)])).fetchall() if due else []
                now = time.perf_counter()
                taken += [now - due.pop(key) for (key,) in rows]
            await sending
    finally:
        await producer.stop()
    return taken


async def _send(producer: AIOKafkaProducer, topics: Topics, rate: int, count: int, due: dict[str, float]) -> None:
    begun = time.perf_counter()
    for number in range(count):
        at = begun + number / rate
        await asyncio.sleep(max(0.0, at - time.perf_counter()))
        key = uuid4()
        record = encode_command(creation(key), source="/bench", id=str(key), actor="mina", time=BEGUN)
        due[str(key)] = at
        await producer.send(topics.commands, key=record.key, value=record.value)
