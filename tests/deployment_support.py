"""What the tests of container files and manifests share: the files as data, and what they must agree with."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from service.settings import Settings, load_settings

ROOT: Final = Path(__file__).resolve().parent.parent

#: Where a process answers about itself.
ADMIN_PORT: Final = 9464
ADMIN_PATHS: Final = {"/livez", "/readyz", "/metrics"}

#: What a stopped process takes beside its grace times to close its connections (seconds).
_TO_CLOSE: Final = 10.0

_INTERPOLATION: Final = re.compile(r"\$\{\w+:-([^}]*)\}")


def documents(path: Path) -> list[dict[str, Any]]:
    """The YAML documents of a file."""
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def image() -> str:
    """The image's name with the version of the distribution."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return f"{project['name']}:{project['version']}"


def defaults(environment: Mapping[str, object]) -> dict[str, str]:
    """Variables of a compose file, as they are where nothing is set outside."""
    return {name: _INTERPOLATION.sub(r"\1", str(value)) for name, value in environment.items()}


def settings_from(environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The settings that a process gets with these variables; raises where one is unknown or cannot be used."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return load_settings()


def longest_stop(settings: Settings) -> float:
    """How long a worker may take to stop (seconds)."""
    return settings.kafka.consumer.revocation_grace + 2 * settings.stop_grace_seconds + _TO_CLOSE


def longest_stop_of_follower(settings: Settings) -> float:
    """How long a process may take to stop that only follows the log (seconds)."""
    return settings.stop_grace_seconds + _TO_CLOSE
