"""A long backlog: how fast a worker that has been away catches up with it, and how much memory that takes."""

import asyncio
import multiprocessing
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from uuid import UUID

from aiokafka import AIOKafkaProducer

from adapters.kafka.encoding import EncodedRecord
from adapters.kafka.partitioner import partition_of
from bench.intake import handle_all, prepared
from bench.load import new_ids, policy_commands
from bench.surroundings import Surroundings
from domain.chunks import chunks
from handlers.commit import Commit
from service.garbage import look_for_garbage_seldom
from service.kafka_access import KafkaAccess
from service.settings import Settings

_DEPLOYMENTS = 1_000

#: Most bytes of a batch that is produced.
_BATCH_BYTES = 512 * 1024


async def drain_backlog(site: Surroundings, records: int) -> dict[str, float]:
    """Have a worker in a process of its own handle so many records (count) that wait for it.

    ``commands_per_second``; ``first_resident_mib``: its memory after the first commit, and ``grown_mib``: how much more
    than that it ever was (Linux only).
    """
    topics, ids = await site.new_topics(), new_ids(_DEPLOYMENTS)
    settings, access = await prepared(site, topics, ids)
    await _produce(site, topics.commands, topics.partitions, ids, records)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return await asyncio.to_thread(pool.apply, _drain, (settings, access, records))


async def _produce(site: Surroundings, topic: str, partitions: int, ids: Sequence[UUID], count: int) -> None:
    """Send whole batches, many times as fast as record by record."""
    producer = AIOKafkaProducer(**site.broker.connection.client_options(), max_batch_size=_BATCH_BYTES)
    await producer.start()
    try:
        for partition in range(partitions):
            mine = [key for key in ids if partition_of(key, partitions) == partition]
            share = count // partitions + (partition < count % partitions)
            for some in chunks(range(share), 500):
                batch = producer.create_batch()
                for key, value in _records(mine, partition, some):
                    batch.append(key=key, value=value, timestamp=None)
                batch.close()
                await producer.send_batch(batch, topic, partition=partition)
        await producer.flush()
    finally:
        await producer.stop()


def _records(ids: Sequence[UUID], partition: int, numbers: Sequence[int]) -> Iterator[tuple[bytes, bytes]]:
    """One command after the other for each deployment in turn, each changing something, each with an id of its own."""
    for number in numbers:
        turn, place = divmod(number, len(ids))
        record = _records_of(ids[place])[turn % 2]
        yield record.key, record.value.replace(b'"id":"%d"' % (turn % 2), b'"id":"%d-%d"' % (partition, number))


@cache
def _records_of(deployment_id: UUID) -> Sequence[EncodedRecord]:
    return policy_commands([deployment_id], 2)


def _drain(settings: Settings, access: KafkaAccess, records: int) -> dict[str, float]:
    look_for_garbage_seldom()
    memory: list[float] = []

    def look(_: Commit) -> None:
        if not memory:
            memory.append(_mebibytes("VmRSS"))

    handled = asyncio.run(handle_all(settings, access, records, listener=look))
    return {
        "commands_per_second": round(handled.rate),
        "first_resident_mib": round(memory[0], 1),
        "grown_mib": round(_mebibytes("VmHWM") - memory[0], 1),
    }


def _mebibytes(name: str) -> float:
    """A figure of this process's memory, as the kernel calls it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:"))
