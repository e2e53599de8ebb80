"""Which app proxy serves which scaling group, from a YAML file.

::

    default:                     # the scaling group
      address: http://proxy:10200
      token:
        env: PROXY_TOKEN         # or "file: /run/secrets/token", or "value: …"
"""

import os
from pathlib import Path
from typing import Annotated, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, TypeAdapter, ValidationError, model_validator

from handlers.app_proxy_errors import ProxyTargetInvalid
from handlers.deployment_repository import ScalingGroupProxyTarget
from handlers.proxy_address import proxy_base_url
from service.settings import SettingsInvalid

#: Largest file of proxy targets, and of a token (bytes).
_MAX_BYTES = 1024 * 1024


class _Token(BaseModel):
    """Where a token comes from: exactly one of the three."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    value: SecretStr | None = None
    file: Path | None = None
    env: str | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if sum(source is not None for source in (self.value, self.file, self.env)) != 1:
            raise ValueError("name exactly one of value, file and env")
        return self

    def read(self) -> str:
        """Get the token. Raises ``ValueError`` where there is none; the message never holds it."""
        if self.value is not None:
            return self.value.get_secret_value()
        if self.env is not None:
            if not os.environ.get(self.env):
                raise ValueError(f"environment variable {self.env} is not set")
            return os.environ[self.env]
        if self.file is not None:
            try:
                return self.file.read_bytes()[:_MAX_BYTES].decode().strip()
            except (OSError, UnicodeDecodeError) as error:
                raise ValueError(f"token file {self.file} cannot be read: {type(error).__name__}") from None
        raise ValueError("there is no token")


class _Target(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    address: Annotated[str, Field(min_length=1, max_length=2000)]
    token: _Token


_TARGETS = TypeAdapter(dict[str, _Target])


def load_proxy_targets(path: Path) -> dict[str, ScalingGroupProxyTarget]:
    """Read the file and the tokens that it refers to. Raises :class:`SettingsInvalid`, without a token in its text."""
    try:
        parsed = _TARGETS.validate_python(yaml.safe_load(path.read_bytes()[:_MAX_BYTES]) or {})
    except OSError as error:
        raise SettingsInvalid(f"proxy targets file {path} cannot be read: {error.strerror}") from None
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f" in line {where.line + 1}" if where else ""
        raise SettingsInvalid(f"proxy targets file {path} is not YAML{line}") from None
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False)]
        raise SettingsInvalid(f"proxy targets file {path}: " + "; ".join(problems)) from None
    return {group: _resolve(path, group, target) for group, target in parsed.items()}


def _resolve(path: Path, group: str, target: _Target) -> ScalingGroupProxyTarget:
    try:
        proxy_base_url(target.address)
        return ScalingGroupProxyTarget(target.address, target.token.read())
    except (ValueError, ProxyTargetInvalid) as error:
        raise SettingsInvalid(f"proxy targets file {path}: scaling group {group!r}: {error}") from None
