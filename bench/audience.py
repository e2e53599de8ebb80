"""Who sends commands and looks for them in the view: in a process of its own, which takes no time from the worker's.

The proxy that answers at once is there too. A command runs from when it was to be sent, so that a worker that falls
behind is not flattered by a sender that waits for it.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, NamedTuple
from uuid import uuid4

import psycopg
from aiokafka import AIOKafkaProducer

from adapters.kafka.connection import KafkaConnection
from adapters.kafka.encoding import encode_command
from bench.instant_proxy import instant_proxy
from bench.load import BEGUN, creation

#: How often the view is asked (seconds): what is measured may be too long by as much.
_LOOK_SECONDS = 0.003

_VISIBLE = "SELECT id FROM deployments WHERE endpoint_url IS NOT NULL AND id = ANY(%s)"

_spawning = get_context("spawn")


class Sighting(NamedTuple):
    """When a deployment's command was to be sent, and when its endpoint was seen in the view (``perf_counter``)."""

    deployment_id: str
    due: float
    seen: float


@dataclass(frozen=True, slots=True)
class Audience:
    """Sends and looks, in its process."""

    connection: KafkaConnection
    topic: str
    views: str

    async def see(self, rate: int, count: int) -> Sequence[Sighting]:
        """Send so many commands, ``rate`` a second, and wait until all are seen."""
        loop = asyncio.get_running_loop()
        with ProcessPoolExecutor(1, mp_context=_spawning) as pool:
            return await loop.run_in_executor(pool, _see, self, rate, count)


@asynccontextmanager
async def distant_proxy() -> AsyncIterator[str]:
    """The instant proxy in a process of its own, for the length of the block; gives its address."""
    ours, theirs = _spawning.Pipe()
    process = _spawning.Process(target=_answer, args=(theirs,), daemon=True)
    process.start()
    try:
        yield await asyncio.to_thread(ours.recv)
    finally:
        process.terminate()
        await asyncio.to_thread(process.join)


def _answer(address: "Connection[str, Any]") -> None:
    async def serve() -> None:
        async with instant_proxy() as proxy:
            address.send(proxy)
            await asyncio.Event().wait()

    asyncio.run(serve())


def _see(audience: Audience, rate: int, count: int) -> Sequence[Sighting]:
    return asyncio.run(_send_and_see(audience, rate, count))


async def _send_and_see(audience: Audience, rate: int, count: int) -> Sequence[Sighting]:
    due: dict[str, float] = {}
    seen: list[Sighting] = []
    producer = AIOKafkaProducer(**audience.connection.client_options())
    await producer.start()
    connection = await psycopg.AsyncConnection.connect(
        audience.views, autocommit=True, options="-c search_path=routekeeper_views"
    )
    try:
        async with connection, asyncio.timeout(60 + count / rate * 10):
            sending = asyncio.create_task(_send(producer, audience.topic, rate, count, due))
            while len(seen) < count:
                await asyncio.sleep(_LOOK_SECONDS)
                rows = await (await connection.execute(_VISIBLE, [list(due)])).fetchall() if due else []
                now = time.perf_counter()
                seen += [Sighting(key, due.pop(key), now) for (key,) in rows]
            await sending
    finally:
        await producer.stop()
    return seen


async def _send(producer: AIOKafkaProducer, topic: str, rate: int, count: int, due: dict[str, float]) -> None:
    begun = time.perf_counter()
    for number in range(count):
        at = begun + number / rate
        await asyncio.sleep(max(0.0, at - time.perf_counter()))
        key = uuid4()
        record = encode_command(creation(key), source="/bench", id=str(key), actor="mina", time=BEGUN)
        due[str(key)] = at
        await producer.send(topic, key=record.key, value=record.value)
