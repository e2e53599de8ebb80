"""The topics that a process makes when it starts, as far as its rights allow and they are missing."""

import logging

from adapters.kafka.head_publisher import ensure_heads_topic
from adapters.kafka.topics import ensure_topics
from service.kafka_access import KafkaAccess
from service.settings import Settings

log = logging.getLogger(__name__)


async def make_missing_topics(kafka: KafkaAccess, settings: Settings) -> None:
    """Make the topics that are missing, that of tree heads too if there is to be one.

    Raises :class:`~adapters.kafka.topics.TopicNotCreated` and :class:`~adapters.kafka.topics.KafkaUnavailable`.
    """
    topics = settings.kafka.topics
    if settings.audit.heads_topic is not None:
        factor = topics.replication_factor
        if await ensure_heads_topic(kafka.connection, settings.audit.heads_topic, replication_factor=factor):
            log.info("Created topic %s", settings.audit.heads_topic)
    for created in await ensure_topics(kafka.connection, topics):
        log.info("Created topic %s", created)
