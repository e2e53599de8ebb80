"""Where settings come from: environment variables, files of secrets, and an env file."""

import os
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    NestedSecretsSettingsSource,
    SettingsError,
)

from service.settings_fields import FieldPath

#: Names a folder whose files ``ROUTEKEEPER_…`` each hold a setting, as container platforms mount secrets.
SECRETS_DIR: Final = "ROUTEKEEPER_SECRETS_DIR"
#: Names a file of lines ``ROUTEKEEPER_…=VALUE``.
ENV_FILE: Final = "ROUTEKEEPER_ENV_FILE"


class Origin(StrEnum):
    """Where a setting came from."""

    ENVIRONMENT = "environment variable"
    SECRET_FILE = "secret file"  # noqa: S105 - no secret
    ENV_FILE = "env file"
    DEFAULT = "default"


def settings_sources(settings: type[BaseSettings]) -> Mapping[Origin, EnvSettingsSource]:
    """The sources, the one that wins first. Raises ``SettingsError`` where a file or folder is not there."""
    sources: dict[Origin, EnvSettingsSource] = {Origin.ENVIRONMENT: EnvSettingsSource(settings)}
    if folder := os.environ.get(SECRETS_DIR):
        sources[Origin.SECRET_FILE] = NestedSecretsSettingsSource(
            # A setting may lie beside secrets of others, so names decide, not the folder.
            settings,  # type: ignore[arg-type] # its own comment says that the class may be given
            secrets_dir=folder,
            secrets_dir_missing="error",
        )
    if name := os.environ.get(ENV_FILE):
        if not Path(name).is_file():
            raise SettingsError(f"{ENV_FILE}: there is no file {name!r}")
        # What does not belong to us is none of our business; what does and is misspelt is found by its name.
        sources[Origin.ENV_FILE] = DotEnvSettingsSource(settings, env_file=name, dotenv_filtering="only_existing")
    return sources


def origins(settings: type[BaseSettings]) -> Mapping[FieldPath, Origin]:
    """Where each setting that is set came from; the others have their default."""
    found: dict[FieldPath, Origin] = {}
    for origin, source in settings_sources(settings).items():
        for path in _leaves(source()):
            found.setdefault(path, origin)
    return found


def _leaves(values: Mapping[str, Any], above: FieldPath = ()) -> Iterator[FieldPath]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, (*above, name.lower()))
        else:
            yield (*above, name.lower())
