"""How to reach the Kafka cluster: addresses and, where it asks for them, credentials."""

import ssl
from dataclasses import dataclass, field
from typing import Any, Literal

SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
SaslMechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaConnection:
    """A cluster and who we are to it.

    ``bootstrap_servers`` is ``host:port``, several separated by commas. ``ca_file`` names the certificates that the
    brokers' are checked against (``None``: the system's), ``certificate_file`` and ``key_file`` our own. The password
    never shows in a text of this value. ``request_timeout`` is in seconds. ``has_idempotent_producers``: whether the
    brokers keep a batch from being stored twice after a lost answer, which the embedded one does not.
    """

    bootstrap_servers: str
    client_id: str = "routekeeper"
    security_protocol: SecurityProtocol = "PLAINTEXT"
    sasl_mechanism: SaslMechanism = "SCRAM-SHA-512"
    sasl_username: str = ""
    sasl_password: str = field(default="", repr=False)
    ca_file: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None
    request_timeout: float = 10.0
    has_idempotent_producers: bool = False

    def client_options(self) -> dict[str, Any]:
        """What every aiokafka client is made with."""
        options: dict[str, Any] = {
            "bootstrap_servers": [server.strip() for server in self.bootstrap_servers.split(",")],
            "client_id": self.client_id,
            "request_timeout_ms": int(self.request_timeout * 1000),
            "security_protocol": self.security_protocol,
        }
        if self.security_protocol.startswith("SASL"):
            options["sasl_mechanism"] = self.sasl_mechanism
            options["sasl_plain_username"] = self.sasl_username
            options["sasl_plain_password"] = self.sasl_password
        if self.security_protocol.endswith("SSL"):
            options["ssl_context"] = self._ssl_context()
        return options

    def _ssl_context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.ca_file)
        if self.certificate_file is not None:
            context.load_cert_chain(self.certificate_file, self.key_file)
        return context
