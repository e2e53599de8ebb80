"""Secrets that the settings give by value or by file, and errors that name the field and never the secret."""

from pathlib import Path
from typing import Final

from pydantic import SecretStr

from domain.errors import RoutekeeperError

#: Largest file of a secret (bytes).
_MAX_BYTES: Final = 64 * 1024


class FieldInvalid(ValueError):
    """A ``field`` of a group of settings does not fit the others, or is missing among them."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(problem)
        self.field = field


class SecretUnreadable(RoutekeeperError):
    """The file that holds a secret cannot be read."""


def exactly_one(field: str, value: SecretStr | None, file: Path | None, *, because: str) -> None:
    """Check that a secret is given once. Raises :class:`FieldInvalid`."""
    if value is None and file is None:
        raise FieldInvalid(field, f"is unset, and so is {field}_file: {because} needs one of them")
    at_most_one(field, value, file)


def at_most_one(field: str, value: SecretStr | None, file: Path | None) -> None:
    """Check that a secret is not given twice. Raises :class:`FieldInvalid`."""
    if value is not None and file is not None:
        raise FieldInvalid(field, f"is set, and so is {field}_file: set one of them")


def read_secret(field: str, value: SecretStr | None, file: Path | None) -> str:
    """The secret, read anew each time, so that a file may be replaced; empty if none is given.

    Raises :class:`SecretUnreadable`.
    """
    if value is not None:
        return value.get_secret_value()
    if file is None:
        return ""
    try:
        with file.open("rb") as opened:
            content = opened.read(_MAX_BYTES + 1)
        secret = content.decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "is not UTF-8"
        raise SecretUnreadable(f"{field}_file {str(file)!r} cannot be read: {why}") from None
    if len(content) > _MAX_BYTES:
        raise SecretUnreadable(f"{field}_file {str(file)!r} is longer than {_MAX_BYTES} bytes")
    if not secret:
        raise SecretUnreadable(f"{field}_file {str(file)!r} is empty")
    return secret
