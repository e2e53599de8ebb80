"""What is kept in memory: as many deployments as fit, only one's own, and nothing that may be stale."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.deployment import Deployment
from domain.events import DeploymentCreated
from domain.evolve import evolve
from handlers.aggregate_cache import AggregateCache, Memory
from handlers.ownership import Ownership
from handlers.records import PartitionId

P0, P1 = (PartitionId("commands", "epoch-1", number) for number in range(2))


def deployment(number: int, *, version: int = 1) -> Deployment:
    created = DeploymentCreated(
        at=datetime(2026, 3, 1, tzinfo=UTC),
        deployment_id=UUID(int=number),
        deployment_name=f"version {version}",
        resource_group="gpu",
        domain="default",
        project=UUID(int=1),
        owner=UUID(int=2),
        open_to_public=False,
        replica_count=1,
        digest="",
    )
    return evolve(None, created)


def numbers(cache: AggregateCache | Memory) -> list[int]:
    return [deployment.id.int for deployment in cache]


def test_what_was_put_last_replaces_what_was_put_before() -> None:
    cache = AggregateCache(3)
    newer = deployment(1, version=2)

    cache.put(deployment(1))
    cache.put(newer)

    assert cache.get(UUID(int=1)) is newer
    assert len(cache) == 1


def test_who_was_not_used_for_longest_goes_first() -> None:
    cache = AggregateCache(3)
    for number in (1, 2, 3):
        cache.put(deployment(number))

    cache.get(UUID(int=1))
    cache.put(deployment(2))
    cache.put(deployment(4))

    assert numbers(cache) == [1, 2, 4]


def test_who_is_not_there_is_not_missed() -> None:
    cache = AggregateCache(3)
    cache.put(deployment(1))

    cache.evict([UUID(int=1), UUID(int=9)])

    assert cache.get(UUID(int=1)) is None
    assert len(cache) == 0


@settings(max_examples=100, deadline=None)
@given(size=st.integers(1, 5), uses=st.lists(st.tuples(st.booleans(), st.integers(1, 9)), max_size=40))
def test_there_are_never_more_than_fit_and_they_are_the_last_used(size: int, uses: list[tuple[bool, int]]) -> None:
    cache, expected = AggregateCache(size), list[int]()
    for is_put, number in uses:
        if is_put:
            cache.put(deployment(number))
        elif cache.get(UUID(int=number)) is None:
            continue
        expected = [*(n for n in expected if n != number), number][-size:]

    assert numbers(cache) == expected


@pytest.fixture
def ownership() -> Ownership:
    ownership = Ownership("commands", 2, lambda deployment_id: deployment_id.int)
    ownership.gain([P0, PartitionId("routes", "epoch-1", 1)])
    return ownership


@pytest.fixture
def memory(ownership: Ownership) -> Memory:
    return Memory(ownership, 10)


def test_only_deployments_of_ones_own_partitions_are_remembered(memory: Memory) -> None:
    memory.remember([deployment(2), deployment(3)], {}, generation=0)

    assert numbers(memory) == [2]


def test_what_was_lost_is_not_given_though_it_is_still_there(memory: Memory, ownership: Ownership) -> None:
    memory.remember([deployment(2)], {}, generation=0)

    ownership.lose([P0])
    assert memory.deployment(UUID(int=2)) is None

    ownership.gain([P1])
    assert memory.deployment(UUID(int=2)) is None


def test_what_was_read_before_everything_was_forgotten_is_not_remembered(memory: Memory) -> None:
    stream = UUID(int=7)
    generation = memory.generation
    memory.clear()

    memory.remember([deployment(2)], {stream: 3}, generation=generation)

    assert memory.deployment(UUID(int=2)) is None
    assert memory.stream_version(stream) is None


def test_single_deployments_and_streams_can_be_forgotten(memory: Memory) -> None:
    one, other = UUID(int=6), UUID(int=8)
    memory.remember([deployment(2), deployment(4)], {one: 3, other: 5}, generation=0)

    memory.drop([UUID(int=2), UUID(int=99)], [one, UUID(int=99)])

    assert numbers(memory) == [4]
    assert (memory.stream_version(one), memory.stream_version(other)) == (None, 5)


def test_what_has_come_to_a_higher_version_meanwhile_can_be_forgotten(memory: Memory) -> None:
    memory.remember([deployment(2), deployment(4)], {}, generation=0)

    memory.drop_older({UUID(int=2): 2, UUID(int=4): 1, UUID(int=6): 9})

    assert numbers(memory) == [4]


def test_everything_can_be_forgotten(memory: Memory) -> None:
    memory.remember([deployment(2)], {UUID(int=6): 3}, generation=0)

    memory.clear()

    assert numbers(memory) == []
    assert memory.stream_version(UUID(int=6)) is None
