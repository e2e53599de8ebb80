"""Which app proxy serves which scaling group, from a YAML file.

::

    default:                     # the scaling group
      address: http://proxy:10200
      token:
        env: PROXY_TOKEN         # or "file: /run/secrets/token", or "value: …"
"""

from pathlib import Path
from typing import Annotated, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from handlers.app_proxy_errors import ProxyTargetInvalid
from handlers.deployment_repository import ScalingGroupProxyTarget
from handlers.proxy_address import proxy_base_url
from service.secret_source import SecretSource
from service.settings import SettingsInvalid

#: Largest file of proxy targets (bytes).
_MAX_BYTES = 1024 * 1024


class _Target(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    address: Annotated[str, Field(min_length=1, max_length=2000)]
    token: SecretSource

    @model_validator(mode="after")
    def _has_a_token(self) -> Self:
        if self.token == SecretSource():
            raise ValueError("token: name exactly one of value, file and env")
        return self


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
        return ScalingGroupProxyTarget(target.address, target.token.read() or "")
    except (ValueError, ProxyTargetInvalid) as error:
        raise SettingsInvalid(f"proxy targets file {path}: scaling group {group!r}: {error}") from None
