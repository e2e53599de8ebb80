"""How to reach the Kafka cluster: its addresses, and how connections to it are protected."""

from dataclasses import dataclass, field
from typing import Any

from adapters.kafka.security import KafkaSecurity


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaConnection:
    """A cluster and who we are to it.

    ``bootstrap_servers`` is ``host:port``, several separated by commas. No secret of ``security`` shows in a text of
    this value. ``request_timeout`` is in seconds. ``has_idempotent_producers``: whether the brokers keep a batch from
    being stored twice after a lost answer, which the embedded one does not.
    """

    bootstrap_servers: str
    client_id: str = "routekeeper"
    security: KafkaSecurity = field(default_factory=KafkaSecurity)
    request_timeout: float = 10.0
    has_idempotent_producers: bool = False

    def client_options(self) -> dict[str, Any]:
        """What every aiokafka client is made with. Raises what :meth:`KafkaSecurity.client_options` raises."""
        return {
            "bootstrap_servers": self.servers,
            "client_id": self.client_id,
            "request_timeout_ms": int(self.request_timeout * 1000),
            **self.security.client_options(),
        }

    @property
    def servers(self) -> list[str]:
        """The addresses one by one."""
        return [server.strip() for server in self.bootstrap_servers.split(",")]
