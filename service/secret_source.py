"""Where a secret comes from: given as it is, in a file, or in an environment variable of another name."""

import os
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, SecretStr, model_validator

#: Most that is read of a file with a secret (bytes).
_MAX_BYTES = 64 * 1024


class SecretSource(BaseModel):
    """`value` is the secret itself, `file` holds it, or the environment variable called `env` does; at most one."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    value: SecretStr | None = None
    file: Path | None = None
    env: str | None = None

    @model_validator(mode="after")
    def _at_most_one(self) -> Self:
        if sum(source is not None for source in (self.value, self.file, self.env)) > 1:
            raise ValueError("name exactly one of value, file and env")
        return self

    def read(self) -> str | None:
        """Get the secret; ``None`` where no source is named.

        Raises ``ValueError`` where the one that is named has none; the message never holds a secret.
        """
        if self.value is not None:
            return self.value.get_secret_value()
        if self.env is not None:
            if not os.environ.get(self.env):
                raise ValueError(f"environment variable {self.env} is not set")
            return os.environ[self.env]
        if self.file is not None:
            return _secret_in(self.file)
        return None


def _secret_in(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            content = opened.read(_MAX_BYTES + 1)
        secret = content.decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"token file {file} cannot be read: {type(error).__name__}") from None
    if len(content) > _MAX_BYTES:
        raise ValueError(f"token file {file} is longer than {_MAX_BYTES} bytes")
    if not secret:
        raise ValueError(f"token file {file} is empty")
    return secret
