"""The server's side of SASL mechanisms, as Kafka's brokers have it."""

import base64
import hashlib
import hmac
import secrets
from typing import Protocol


class SaslExchange(Protocol):
    """One authentication: ``principal`` is who was let in, once that is known."""

    principal: str | None

    def answer(self, message: bytes) -> bytes | None:
        """The answer to what the client sent, or ``None`` to turn it away."""
        ...


class PlainExchange:
    """RFC 4616 for one user."""

    def __init__(self, user: str, password: str) -> None:
        self.principal: str | None = None
        self._expected = (user, password)

    def answer(self, message: bytes) -> bytes | None:
        _, user, password = message.decode().split("\0")
        self.principal = user if (user, password) == self._expected else None
        return b"" if self.principal else None


class BearerExchange:
    """RFC 7628 for tokens that are in a set, each with the name of the principal."""

    def __init__(self, tokens: dict[str, str]) -> None:
        self.principal: str | None = None
        self._tokens = tokens

    def answer(self, message: bytes) -> bytes | None:
        _, _, rest = message.decode().partition("auth=Bearer ")
        self.principal = self._tokens.get(rest.rstrip("\x01"))
        return b"" if self.principal else None


class ScramExchange:
    """RFC 5802 for one user, with SHA-256 or SHA-512."""

    def __init__(self, user: str, password: str, algorithm: str) -> None:
        self.principal: str | None = None
        self._user = user
        self._algorithm = algorithm
        self._salt = secrets.token_bytes(16)
        self._salted = hashlib.pbkdf2_hmac(algorithm, password.encode(), self._salt, 4096)
        self._first = self._challenge = ""

    def answer(self, message: bytes) -> bytes | None:
        text = message.decode()
        if not self._first:
            self._first = text.removeprefix("n,,")
            fields = dict(part.split("=", 1) for part in self._first.split(","))
            nonce = fields["r"] + secrets.token_hex(8)
            self._challenge = f"r={nonce},s={base64.b64encode(self._salt).decode()},i=4096"
            return self._challenge.encode() if fields["n"] == self._user else None
        without_proof, _, proof = text.rpartition(",p=")
        signed = f"{self._first},{self._challenge},{without_proof}".encode()
        client_key = self._hmac(self._salted, b"Client Key")
        stored = hashlib.new(self._algorithm, client_key).digest()
        signature = self._hmac(stored, signed)
        expected = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        if not hmac.compare_digest(expected, base64.b64decode(proof)):
            return None
        self.principal = self._user
        return b"v=" + base64.b64encode(self._hmac(self._hmac(self._salted, b"Server Key"), signed))

    def _hmac(self, key: bytes, message: bytes) -> bytes:
        return hmac.new(key, message, self._algorithm).digest()
