"""Ed25519 keys in PEM files, to sign tree heads with and to check them by."""

from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from domain.errors import RoutekeeperError


class KeyUnusable(RoutekeeperError):
    """A file holds no key that can be used; the message names it, and nothing that it holds."""


class SigningKey:
    """A private key; its text shows nothing of it."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    @classmethod
    def from_file(cls, file: Path) -> "SigningKey":
        """Read PKCS #8 without a password, as ``openssl genpkey -algorithm ed25519`` writes it.

        Raises :class:`KeyUnusable`.
        """
        try:
            key = load_pem_private_key(_content(file), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise KeyUnusable(f"{file} holds no private key in PEM without a password") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise KeyUnusable(f"{file} holds another kind of private key than Ed25519")
        return cls(key)

    def sign(self, data: bytes) -> bytes:
        """The signature of ``data``, 64 bytes."""
        return self._key.sign(data)

    @property
    def public_pem(self) -> str:
        """The public key, for whoever checks."""
        return self._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


class PublicKey:
    """A public key."""

    def __init__(self, key: Ed25519PublicKey) -> None:
        self._key = key

    @classmethod
    def from_file(cls, file: Path) -> "PublicKey":
        """Read what ``routekeeper audit key`` printed. Raises :class:`KeyUnusable`."""
        try:
            key = load_pem_public_key(_content(file))
        except (ValueError, UnsupportedAlgorithm):
            raise KeyUnusable(f"{file} holds no public key in PEM") from None
        if not isinstance(key, Ed25519PublicKey):
            raise KeyUnusable(f"{file} holds another kind of public key than Ed25519")
        return cls(key)

    def has_signed(self, signature: bytes, data: bytes) -> bool:
        """Whether the signature is of this key and of ``data``."""
        try:
            self._key.verify(signature, data)
        except InvalidSignature:
            return False
        return True


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise KeyUnusable(f"{file} cannot be read: {error.strerror}") from None
