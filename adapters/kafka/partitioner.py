"""Where a deployment's records are: Kafka's own default hash, so that any Kafka client puts them in the same place.

librdkafka's default is another one; its clients must be told ``partitioner=murmur2_random``.
"""

from functools import lru_cache
from struct import unpack_from
from uuid import UUID

_SEED = 0x9747B28C
_MULTIPLIER = 0x5BD1E995
_WORD = 0xFFFFFFFF
_POSITIVE = 0x7FFFFFFF


def murmur2(key: bytes) -> int:
    """Kafka's 32-bit MurmurHash2 of ``key``, as an unsigned number."""
    words = len(key) // 4
    h = _SEED ^ len(key)
    for word in unpack_from(f"<{words}I", key):
        k = word * _MULTIPLIER & _WORD
        k = (k ^ k >> 24) * _MULTIPLIER & _WORD
        h = (h * _MULTIPLIER & _WORD) ^ k
    if rest := key[words * 4 :]:
        h = (h ^ int.from_bytes(rest, "little")) * _MULTIPLIER & _WORD
    h = (h ^ h >> 13) * _MULTIPLIER & _WORD
    return h ^ h >> 15


@lru_cache(maxsize=65_536)
def partition_hash(deployment_id: UUID) -> int:
    """The positive hash of the deployment's key, the id as canonical lower-case text."""
    return murmur2(str(deployment_id).encode()) & _POSITIVE


def partition_of(deployment_id: UUID, count: int) -> int:
    """The partition, of ``count`` many, that the deployment's records are in."""
    return partition_hash(deployment_id) % count
