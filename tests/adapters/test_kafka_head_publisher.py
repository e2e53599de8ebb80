"""Tree heads on a topic."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import uuid4

from adapters.kafka.connection import KafkaConnection
from adapters.kafka.head_publisher import HeadPublisher, ensure_heads_topic
from domain.audit.tree_head import TreeHead
from tests.kafka_support import read_all

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Heads:
    """Heads of so many events, and how far their followers are."""

    def __init__(self, *sizes: int) -> None:
        self.all = [TreeHead(size=size, position=size, root=f"{size:064x}", at=AT) for size in sizes]
        self.positions: dict[str, int] = {}

    def heads(self, *, after: int, limit: int) -> Sequence[TreeHead]:
        return [head for head in self.all if head.size > after][:limit]

    async def follower(self, name: str) -> int:
        return self.positions.get(name, 0)

    async def move_follower(self, name: str, *, expected: int, following: int) -> bool:
        assert self.positions.get(name, 0) == expected
        self.positions[name] = following
        return True


def publisher(kafka: KafkaConnection, topic: str, heads: Heads) -> HeadPublisher:
    return HeadPublisher(kafka, topic, heads, heads, epoch="1", batch_seconds=5.0)


async def test_heads_are_published_once_in_order_also_after_a_restart(kafka: KafkaConnection) -> None:
    topic, heads = f"test-{uuid4()}.heads", Heads(3, 9)
    await ensure_heads_topic(kafka, topic, replication_factor=1)
    await ensure_heads_topic(kafka, topic, replication_factor=1)
    first = publisher(kafka, topic, heads)
    await first.publish()
    await first.close()

    heads.all += Heads(12).all
    second = publisher(kafka, topic, heads)
    await second.publish()
    await second.close()

    records = await read_all(kafka, topic, 3)
    assert [TreeHead.model_validate_json(record.value) for record in records] == heads.all
    assert [record.key for record in records] == [b"3", b"9", b"12"]


async def test_without_a_broker_heads_wait_for_the_next_time() -> None:
    heads = Heads(3)
    nobody = publisher(KafkaConnection(bootstrap_servers="127.0.0.1:1", request_timeout=0.2), "heads", heads)

    async with asyncio.timeout(10):
        await nobody.publish()

    assert heads.positions == {}
