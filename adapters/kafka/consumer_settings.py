"""The numbers that consuming goes by."""

from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

from adapters.kafka.connection import KafkaConnection
from adapters.secrets import FieldInvalid
from domain.quantities import Bytes, Count, Seconds, SecondsOrNone
from handlers.backoff import Backoff

IsolationLevel = Literal["read_committed", "read_uncommitted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerSettings:
    """How the input topics are read; times in seconds, sizes in bytes.

    ``instance_id`` makes the membership static: a worker that comes back within ``session_timeout`` has its partitions
    at once; it must be unique among the workers and the same each time this one starts. ``max_records`` is the most
    records handed over at once, of which a tenth is kept for metrics when commands are many; ``max_wait`` how long to
    wait for the first. ``fetch_max_wait`` is how long a broker may hold back an answer until there is something to
    tell. ``fetch_max_bytes`` bounds one answer of a broker, ``partition_fetch_max_bytes`` one partition's
    part in it (a single larger record still comes). ``revocation_grace`` is how long records that are being handled may
    take when their partitions go to somebody else. ``confirm_within``: how long the record before a position that lies
    behind the partition's end may take to show that it is there. ``commit_interval``: how often Kafka is told the
    position, as information for lag monitors. ``metadata_max_age``: after how long it is noticed that topics have more
    partitions. ``isolation_level``: whether records of aborted transactions are read.
    """

    group: str = "routekeeper"
    instance_id: str | None = None
    max_records: Count = 500
    max_wait: Seconds = 0.2
    fetch_max_wait: Seconds = 0.5
    fetch_max_bytes: Bytes = 16 * 1024 * 1024
    partition_fetch_max_bytes: Bytes = 1024 * 1024
    session_timeout: Seconds = 30.0
    heartbeat_interval: Seconds = 3.0
    rebalance_timeout: Seconds = 30.0
    max_poll_interval: Seconds = 300.0
    revocation_grace: SecondsOrNone = 5.0
    confirm_within: Seconds = 10.0
    metadata_max_age: Seconds = 30.0
    commit_interval: Seconds = 1.0
    isolation_level: IsolationLevel = "read_committed"
    backoff: Backoff = field(default_factory=lambda: Backoff(base=0.2, cap=10.0))

    def __post_init__(self) -> None:
        """Raise :class:`FieldInvalid` where the times do not fit together."""
        if self.heartbeat_interval >= self.session_timeout:
            raise FieldInvalid(
                "heartbeat_interval",
                f"is {self.heartbeat_interval:g}, and must be below session_timeout, which is {self.session_timeout:g}",
            )

    def for_embedded_broker(self) -> Self:
        """The same for the embedded broker, which makes every join last at least half the session timeout.

        It also holds static members back by six seconds each time, so there is no ``instance_id``; and while it waits
        for something to tell it does not notice new records, so it waits only briefly. Apache Kafka would refuse a
        session timeout this short.
        """
        return replace(
            self,
            instance_id=None,
            session_timeout=1.5,
            heartbeat_interval=0.3,
            rebalance_timeout=5.0,
            fetch_max_wait=0.04,
            isolation_level="read_uncommitted",
        )

    def client_options(self, connection: KafkaConnection) -> dict[str, Any]:
        """The settings and the connection in aiokafka's names."""
        # The answer to a join comes when all members have joined: it must not be given up before.
        patience = max(connection.request_timeout, self.rebalance_timeout + 5.0)
        return {
            **connection.client_options(),
            "request_timeout_ms": int(patience * 1000),
            "group_id": self.group,
            "group_instance_id": self.instance_id,
            "enable_auto_commit": False,
            "isolation_level": self.isolation_level,
            "metadata_max_age_ms": int(self.metadata_max_age * 1000),
            "auto_offset_reset": "none",
            "fetch_max_wait_ms": int(self.fetch_max_wait * 1000),
            "fetch_max_bytes": self.fetch_max_bytes,
            "max_partition_fetch_bytes": self.partition_fetch_max_bytes,
            "session_timeout_ms": int(self.session_timeout * 1000),
            "heartbeat_interval_ms": int(self.heartbeat_interval * 1000),
            "rebalance_timeout_ms": int(self.rebalance_timeout * 1000),
            "max_poll_interval_ms": int(self.max_poll_interval * 1000),
        }
