"""Says why brokers do not let us in: aiokafka's clients only say that they could not connect."""

import asyncio
import ssl
from dataclasses import dataclass
from typing import Any

from aiokafka.conn import create_conn
from aiokafka.errors import (
    IllegalSaslStateError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)

from adapters.kafka.connection import KafkaConnection
from adapters.kafka.oauth import TokenRefused

#: What does not pass by itself: somebody has to change the settings, the certificates or the broker.
_LASTING = (
    ssl.SSLError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
    IllegalSaslStateError,
    TokenRefused,
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why no broker lets us in; ``is_lasting``: that does not pass by itself."""

    words: str
    is_lasting: bool


async def why_refused(connection: KafkaConnection) -> Refusal | None:
    """Connect to the addresses one by one, and say what is wrong with each; ``None`` if one lets us in."""
    complaints, is_lasting = [], False
    for server in connection.servers:
        try:
            await try_handshake(connection, server)
        except (KafkaError, OSError, TimeoutError) as error:
            complaints.append(f"{server}: {describe(error, connection)}")
            # Whoever is in the middle of a start cuts connections off.
            is_lasting |= isinstance(error, _LASTING) and not isinstance(error, ssl.SSLEOFError)
        else:
            return None
    return Refusal("; ".join(complaints), is_lasting)


async def try_handshake(connection: KafkaConnection, server: str) -> None:
    """Connect and authenticate to one address (``host:port``). Raises what goes wrong there."""
    options: dict[str, Any] = connection.client_options()
    del options["bootstrap_servers"]
    host, _, port = server.rpartition(":")
    try:
        async with asyncio.timeout(connection.request_timeout):
            made = await create_conn(host.strip("[]"), int(port), **options)
    except KafkaConnectionError as error:
        # With TLS 1.3 a broker looks at our certificate only after our side of the handshake is done.
        if isinstance(error.__cause__, ssl.SSLError):
            raise error.__cause__ from None
        raise
    made.close()


def describe(error: BaseException, connection: KafkaConnection) -> str:
    """What went wrong, in words of one line."""
    match error:
        case ssl.SSLCertVerificationError():
            return f"the broker's certificate was not accepted: {error.verify_message}"
        case ssl.SSLError():
            return f"TLS failed: {error.reason or error}"
        case SaslAuthenticationFailed():
            return f"authentication failed: {_one_line(error)}"
        case TimeoutError():
            return "no answer in time"
        case KafkaConnectionError() if isinstance(error.__cause__, EOFError):
            protocol = connection.security.protocol
            own = (
                " and take us without a certificate"
                if connection.security.is_encrypted and not _has_own(connection)
                else ""
            )
            return f"the broker hung up: does the listener speak {protocol}{own}?"
        case OSError() if error.strerror:
            return error.strerror
        case _:
            return _one_line(error) or type(error).__name__


def _has_own(connection: KafkaConnection) -> bool:
    return connection.security.certificate_file is not None


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]
