from uuid import UUID

import pytest
from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st

from adapters.kafka.partitioner import murmur2, partition_hash, partition_of


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_the_hash_is_the_one_of_the_java_client(key: bytes, expected: int) -> None:
    """Kafka's own test vectors, which are signed numbers."""
    assert murmur2(key) == expected % 2**32


@given(deployment_id=st.uuids(), count=st.integers(1, 1000))
def test_a_deployment_is_where_the_default_partitioner_puts_its_key(deployment_id: UUID, count: int) -> None:
    """Any client that uses Kafka's default partitioner reaches the worker that owns the deployment."""
    expected = DefaultPartitioner()(str(deployment_id).encode(), list(range(count)), list(range(count)))

    assert partition_of(deployment_id, count) == expected


@given(deployment_id=st.uuids())
def test_the_hash_is_positive_and_fits_31_bits(deployment_id: UUID) -> None:
    """It is stored, and taken modulo the number of partitions by any database."""
    assert 0 <= partition_hash(deployment_id) < 2**31
