"""Raising the number of partitions of the input topics, and saying how where that is left to somebody else."""

import asyncio
from collections.abc import Mapping, Sequence

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions
from aiokafka.errors import KafkaError

from adapters.kafka.connection import KafkaConnection
from adapters.kafka.topics import Topics, TopicsUnusable, administration, partition_counts

_POLL_INTERVAL = 0.1


class PartitionsNotRaised(TopicsUnusable):
    """The cluster did not add partitions."""


async def raise_partitions(
    connection: KafkaConnection, topics: Topics, *, give_up_after: float = 30.0
) -> Mapping[str, tuple[int, int]]:
    """Give all input topics as many partitions as the largest of them, or the settings' number if that is more.

    Never takes partitions away. Gives the topics that were changed with their numbers before and after, once the new
    partitions can be used. Raises :class:`PartitionsNotRaised`, and
    :class:`~adapters.kafka.topics.KafkaUnavailable` if it takes longer than ``give_up_after`` seconds.
    """
    async with administration(connection, give_up_after=give_up_after) as admin:
        return await raise_by(admin, topics)


async def raise_by(admin: AIOKafkaAdminClient, topics: Topics) -> Mapping[str, tuple[int, int]]:
    """The same, with a client that is connected already."""
    counts = await partition_counts(admin, topics.inputs)
    wanted = max(topics.partitions, *counts.values())
    smaller = {topic: count for topic, count in counts.items() if count < wanted}
    for topic, count in smaller.items():
        try:
            await admin.create_partitions({topic: NewPartitions(wanted)})
        except KafkaError as error:
            raise PartitionsNotRaised(f"topic {topic} keeps {count} partitions, not {wanted}: {error}") from error
    await _until_usable(admin, list(smaller), wanted)
    return {topic: (count, wanted) for topic, count in smaller.items()}


async def _until_usable(admin: AIOKafkaAdminClient, topics: Sequence[str], wanted: int) -> None:
    while True:
        counts = await partition_counts(admin, topics)
        if all(counts.get(topic) == wanted for topic in topics):
            return
        await asyncio.sleep(_POLL_INTERVAL)
