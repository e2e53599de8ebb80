from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from uuid import uuid4

import pytest
from aiokafka.admin import NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from adapters.kafka.connection import KafkaConnection
from adapters.kafka.topics import (
    KafkaUnavailable,
    TopicMissing,
    TopicNotCreated,
    Topics,
    TopicsNotCopartitioned,
    _create,
    administration,
    check_copartitioning,
    ensure_topics,
    read_cluster_id,
)


def renamed(topics: Topics, partitions: int = 2) -> Topics:
    """The same topics but for one that is not there yet."""
    return replace(topics, commands=f"test-{uuid4()}", partitions=partitions)


async def test_missing_topics_are_made_once(kafka: KafkaConnection, topics: Topics) -> None:
    """Said again, it changes nothing and says so."""
    other = renamed(topics)

    assert await ensure_topics(kafka, other) == (other.commands,)
    assert await ensure_topics(kafka, other) == ()
    assert await check_copartitioning(kafka, other) == 2


async def test_input_topics_of_different_sizes_are_refused(kafka: KafkaConnection, topics: Topics) -> None:
    """The error names each topic and its number of partitions."""
    other = renamed(topics, partitions=3)
    await ensure_topics(kafka, other)

    with pytest.raises(TopicsNotCopartitioned) as caught:
        await check_copartitioning(kafka, other)

    assert f"{other.commands} has 3, {other.routes} has 2, {other.metrics} has 2" in str(caught.value)


async def test_a_missing_input_topic_is_named(kafka: KafkaConnection, topics: Topics) -> None:
    """Asking for it does not make it."""
    other = renamed(topics)

    for _ in range(2):
        with pytest.raises(TopicMissing, match=other.commands):
            await check_copartitioning(kafka, other)


class RefusingAdmin:
    """Stands in for a cluster that refuses: the embedded broker takes any topic."""

    async def create_topics(self, new_topics: Sequence[NewTopic]) -> SimpleNamespace:
        """Policy violation for the first, already there for the others."""
        refused, *others = [topic.name for topic in new_topics]
        there = [(name, 36, "already there") for name in others]
        return SimpleNamespace(topic_errors=[*there, (refused, 44, "names begin with team-")])


async def test_a_topic_that_the_cluster_refuses_is_an_error_that_names_it() -> None:
    """A worker must not start with half of its topics; one that somebody else made meanwhile is welcome."""
    topics = Topics()

    with pytest.raises(TopicNotCreated, match=r"topic routekeeper.commands was not created: names begin with team-"):
        await _create(RefusingAdmin(), topics, topics.all)


async def test_desired_routes_are_compacted(kafka: KafkaConnection, topics: Topics) -> None:
    """A runtime that was away for a week still learns what to stop."""
    async with administration(kafka, give_up_after=10.0) as admin:
        resource = ConfigResource(ConfigResourceType.TOPIC, topics.desired_routes)
        (answer,) = await admin.describe_configs([resource])

    configured = {name: value for (*_, entries) in answer.resources for name, value, *_ in entries}
    assert configured["cleanup.policy"] == "compact"


async def test_no_broker_is_an_error_that_names_the_address() -> None:
    """After a bounded time."""
    nowhere = KafkaConnection(bootstrap_servers="127.0.0.1:1")

    with pytest.raises(KafkaUnavailable, match=r"127\.0\.0\.1:1 did not answer in 0\.5 s"):
        await read_cluster_id(nowhere, give_up_after=0.5)


def test_addresses_are_separated_by_commas() -> None:
    assert KafkaConnection(bootstrap_servers="a:1, b:2").client_options()["bootstrap_servers"] == ["a:1", "b:2"]
