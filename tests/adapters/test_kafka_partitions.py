"""Partitions are only ever added, until all input topics have the same number."""

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from aiokafka.admin import NewPartitions
from aiokafka.errors import PolicyViolationError

from adapters.kafka.connection import KafkaConnection
from adapters.kafka.partitions import PartitionsNotRaised, raise_by, raise_partitions
from adapters.kafka.topics import Topics, TopicsNotCopartitioned, check_copartitioning, ensure_topics

on_apache_kafka = pytest.mark.skipif(
    "ROUTEKEEPER_TEST_KAFKA" not in os.environ, reason="the embedded broker cannot add partitions"
)


class Cluster:
    """Stands in for a cluster's administration: what it has of each topic, and what it was asked."""

    def __init__(self, **counts: int) -> None:
        self.counts = {f"routekeeper.{name}": count for name, count in counts.items()}
        self.asked: list[tuple[str, int]] = []
        self.is_willing = True

    async def describe_topics(self) -> list[dict[str, Any]]:
        return [
            {"topic": topic, "error_code": 0, "partitions": [{"leader": 1}] * count}
            for topic, count in self.counts.items()
        ]

    async def create_partitions(self, wanted: Mapping[str, NewPartitions]) -> None:
        if not self.is_willing:
            raise PolicyViolationError("4 is plenty")
        for topic, new in wanted.items():
            self.asked.append((topic, new.total_count))
            self.counts[topic] = new.total_count


async def test_smaller_topics_are_raised_to_the_largest_and_again_nothing_happens() -> None:
    cluster = Cluster(commands=4, routes=6, metrics=4)

    raised = await raise_by(cluster, Topics(partitions=4))

    assert raised == {"routekeeper.commands": (4, 6), "routekeeper.metrics": (4, 6)}
    assert set(cluster.counts.values()) == {6}
    assert await raise_by(cluster, Topics(partitions=4)) == {}
    assert len(cluster.asked) == 2


async def test_all_are_raised_to_the_number_of_the_settings_if_that_is_more() -> None:
    cluster = Cluster(commands=4, routes=4, metrics=4)

    await raise_by(cluster, Topics(partitions=8))

    assert set(cluster.counts.values()) == {8}


async def test_a_number_in_the_settings_that_is_less_lowers_nothing() -> None:
    cluster = Cluster(commands=4, routes=4, metrics=4)

    assert await raise_by(cluster, Topics(partitions=2)) == {}
    assert not cluster.asked


async def test_a_cluster_that_adds_no_partitions_is_an_error_that_names_topic_and_reason() -> None:
    cluster = Cluster(commands=4, routes=6, metrics=4)
    cluster.is_willing = False

    with pytest.raises(PartitionsNotRaised, match=r"routekeeper\.commands keeps 4 partitions, not 6: .*4 is plenty"):
        await raise_by(cluster, Topics(partitions=4))


async def test_the_check_names_the_commands_that_repair_it(kafka: KafkaConnection, topics: Topics) -> None:
    other = replace(topics, commands=f"test-{uuid4()}", partitions=3)
    await ensure_topics(kafka, other)

    with pytest.raises(TopicsNotCopartitioned) as caught:
        await check_copartitioning(kafka, other)

    assert "routekeeper init --repartition" in str(caught.value)
    for topic in (other.routes, other.metrics):
        by_hand = f"--bootstrap-server {kafka.bootstrap_servers} --alter --topic {topic} --partitions 3"
        assert f"kafka-topics.sh {by_hand}" in str(caught.value)


@on_apache_kafka
async def test_a_real_cluster_is_repaired_for_good(kafka: KafkaConnection, topics: Topics) -> None:
    other = replace(topics, commands=f"test-{uuid4()}", partitions=3)
    await ensure_topics(kafka, other)

    assert await raise_partitions(kafka, other) == {other.routes: (2, 3), other.metrics: (2, 3)}
    assert await check_copartitioning(kafka, other) == 3
    assert await raise_partitions(kafka, replace(other, partitions=1)) == {}
