"""Publishes tree heads to a topic, so that they are also kept where the log's operators do not reach."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Protocol

from aiokafka.admin import NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from adapters.kafka.connection import KafkaConnection
from adapters.kafka.producer_session import ProducerSession
from adapters.kafka.topics import TopicNotCreated, administration
from domain.audit.tree_head import TreeHead, head_line
from projections.threads import in_thread

log = logging.getLogger(__name__)

_AT_ONCE = 1000
_GIVE_UP_AFTER_SECONDS = 30.0


class StoredHeads(Protocol):
    """The heads that were written."""

    def heads(self, *, after: int, limit: int) -> Sequence[TreeHead]:
        """At most ``limit`` heads of more than ``after`` leaves, the smallest first."""
        ...


class Followers(Protocol):
    """How far followers have come."""

    async def follower(self, name: str) -> int: ...

    async def move_follower(self, name: str, *, expected: int, following: int) -> bool: ...


async def ensure_heads_topic(connection: KafkaConnection, topic: str, *, replication_factor: int) -> bool:
    """Make the topic, of one partition, if it is not there; tells whether it was made.

    Raises :class:`~adapters.kafka.topics.TopicNotCreated` and :class:`~adapters.kafka.topics.KafkaUnavailable`.
    """
    async with administration(connection, give_up_after=_GIVE_UP_AFTER_SECONDS) as admin:
        answer = await admin.create_topics([NewTopic(topic, 1, replication_factor)])
    for name, code, *_ in answer.topic_errors:
        if code and for_code(code) is not TopicAlreadyExistsError:
            raise TopicNotCreated(f"topic {name} was not created: {for_code(code).__name__}")
    return not any(code for _, code, *_ in answer.topic_errors)


class HeadPublisher:
    """Publishes each head at least once, as JSON, in the order of sizes, the key being the size.

    A batch is delivered within ``batch_seconds``.
    """

    def __init__(
        self,
        connection: KafkaConnection,
        topic: str,
        heads: StoredHeads,
        followers: Followers,
        *,
        epoch: str,
        batch_seconds: float = 30.0,
    ) -> None:
        self._topic = topic
        self._heads = heads
        self._followers = followers
        self._name = f"tree-heads/{topic}/{epoch}"
        self._batch_seconds = batch_seconds
        self._session = ProducerSession(connection)

    async def publish(self) -> None:
        """Publish what was not published yet; where the broker takes none, next time. Raises what the log raises."""
        size = await self._followers.follower(self._name)
        while heads := await in_thread(self._heads.heads, after=size, limit=_AT_ONCE):
            try:
                async with asyncio.timeout(self._batch_seconds):
                    producer = await self._session.producer()
                    for head in heads:
                        await producer.send_and_wait(
                            self._topic, head_line(head).encode(), key=str(head.size).encode(), partition=0
                        )
            except (KafkaError, TimeoutError) as error:
                await self._session.close()
                log.warning("tree heads are published later: %r", error, extra={"action": "publish-heads-later"})
                return
            await self._followers.move_follower(self._name, expected=size, following=heads[-1].size)
            size = heads[-1].size

    async def close(self) -> None:
        """Let go of the producer."""
        await self._session.close()
