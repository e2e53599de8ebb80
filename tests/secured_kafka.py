"""A real broker behind a gate that asks for TLS, client certificates and SASL, as Kafka's listeners do.

The gate answers ``SaslHandshake`` and ``SaslAuthenticate`` itself and hands everything else through, so that all
clients of the project can be tested against protected listeners without Java.
"""

import asyncio
import ssl
import struct
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import trustme

from adapters.kafka.connection import KafkaConnection
from adapters.kafka.embedded_broker import EmbeddedBroker
from adapters.kafka.security import KafkaSecurity
from tests.sasl_servers import SaslExchange

PRODUCE, API_VERSIONS, SASL_HANDSHAKE, INIT_PRODUCER_ID, SASL_AUTHENTICATE = 0, 18, 17, 22, 36
_SASL_AUTHENTICATION_FAILED, _UNSUPPORTED_MECHANISM = 58, 33


@dataclass(frozen=True)
class Certificates:
    """Files (PEM) of a certificate authority, and of what it issued for the broker and for a client."""

    ca: trustme.CA
    folder: Path

    @property
    def ca_file(self) -> Path:
        return self._written("ca.pem", self.ca.cert_pem)

    def client_files(self, name: str = "client") -> tuple[Path, Path]:
        """The files of a client's certificate and key."""
        issued = self.ca.issue_cert(f"{name}@tests.example", common_name=name)
        certificate = self._written(f"{name}.pem", issued.cert_chain_pems[0])
        return certificate, self._written(f"{name}.key", issued.private_key_pem)

    def server_context(self, *, wants_client_certificates: bool) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.ca.issue_cert("127.0.0.1", "localhost").configure_cert(context)
        if wants_client_certificates:
            self.ca.configure_trust(context)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def _written(self, name: str, blob: trustme.Blob) -> Path:
        file = self.folder / name
        blob.write_to_path(str(file))
        return file


@dataclass
class Gate:
    """Where clients connect; counts the requests it saw by Kafka's number for their kind, and who came in."""

    broker_address: str = ""
    address: str = ""
    mechanisms: Mapping[str, Callable[[], SaslExchange]] = field(default_factory=dict)
    requests: Counter[int] = field(default_factory=Counter)
    principals: Counter[str] = field(default_factory=Counter)
    acks: set[int] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of a client."""
        host, port = self.broker_address.rsplit(":", 1)
        from_broker, to_broker = await asyncio.open_connection(host, int(port))
        answers = asyncio.create_task(_pump(from_broker, writer))
        certificate = writer.get_extra_info("peercert")
        if certificate:
            self.principals[dict(pair for (pair,) in certificate["subject"])["commonName"]] += 1
        try:
            await self._requests(reader, writer, to_broker)
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            answers.cancel()
            for each in (writer, to_broker):
                each.close()
            for each in (writer, to_broker):
                with suppress(OSError):
                    await each.wait_closed()

    async def _requests(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, to_broker: asyncio.StreamWriter
    ) -> None:
        exchange: SaslExchange | None = None
        is_in = not self.mechanisms
        while True:
            size = await reader.readexactly(4)
            frame = await reader.readexactly(int.from_bytes(size))
            kind, _, correlation, name_length = struct.unpack_from(">hhih", frame)
            body = frame[10 + max(name_length, 0) :]
            self.requests[kind] += 1
            if kind == SASL_HANDSHAKE:
                mechanism = body[2:].decode()
                code = 0 if mechanism in self.mechanisms else _UNSUPPORTED_MECHANISM
                exchange = self.mechanisms[mechanism]() if code == 0 else None
                names = b"".join(struct.pack(">h", len(m)) + m.encode() for m in self.mechanisms)
                _send(writer, correlation, struct.pack(">hi", code, len(self.mechanisms)) + names)
            elif kind == SASL_AUTHENTICATE and exchange is not None:
                said = exchange.answer(body[4:])
                is_in = exchange.principal is not None
                self.principals.update([exchange.principal] if exchange.principal else [])
                code, why = (0, "") if said is not None else (_SASL_AUTHENTICATION_FAILED, "Authentication failed")
                answer = struct.pack(">hh", code, len(why)) + why.encode()
                answer += struct.pack(">i", len(said or b"")) + (said or b"") + struct.pack(">q", 0)
                _send(writer, correlation, answer)
            elif is_in or kind == API_VERSIONS:
                if kind == PRODUCE:
                    self.acks.add(struct.unpack_from(">h", body, 2)[0])
                to_broker.write(size + frame)
                await to_broker.drain()
            else:
                return


class _BrokerBehind(EmbeddedBroker):
    """A broker that sends its clients to the gate."""

    def __init__(self, gate: Gate, security: KafkaSecurity, log_file: Path) -> None:
        super().__init__(log_file)
        self._gate = gate
        self._security = security

    @property
    def advertised_address(self) -> str:
        return self._gate.address

    @property
    def connection(self) -> KafkaConnection:
        return KafkaConnection(bootstrap_servers=self._gate.address, security=self._security)

    def _spawn(self, binary: str) -> "subprocess.Popen[bytes]":
        self._gate.broker_address = self.address
        return super()._spawn(binary)


@asynccontextmanager
async def secured_broker(
    folder: Path,
    security: KafkaSecurity,
    *,
    tls: ssl.SSLContext | None = None,
    mechanisms: Mapping[str, Callable[[], SaslExchange]] | None = None,
) -> AsyncIterator[Gate]:
    """Start a broker behind a gate; ``security`` is what lets a client in."""
    gate = Gate(mechanisms=mechanisms or {})
    serving: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.create_task(gate.serve(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    host, port = server.sockets[0].getsockname()
    gate.address = f"{host}:{port}"
    try:
        async with _BrokerBehind(gate, security, folder / "secured-broker.log"):
            gate.requests.clear()
            gate.principals.clear()
            yield gate
    finally:
        server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


def _send(writer: asyncio.StreamWriter, correlation: int, body: bytes) -> None:
    writer.write(struct.pack(">ii", len(body) + 4, correlation) + body)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
