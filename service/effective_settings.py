"""What is in force of the settings, one by one, and where each came from. Secrets are masked."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from service.settings import Settings
from service.settings_errors import variable_of
from service.settings_fields import single_settings
from service.settings_sources import Origin, origins

_MASK: Final = "**********"
_RATIOS: Final = ("jitter", "ratio", "factor")

Value = str | int | float | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectiveSetting:
    """One setting: its ``name``, the environment ``variable`` for it, and its value and default in ``unit``."""

    name: str
    variable: str
    value: Value
    unit: str
    default: Value
    origin: Origin


def effective_settings(settings: Settings) -> Sequence[EffectiveSetting]:
    """All settings, in the order in which the models have them."""
    defaults = dict(single_settings(Settings.model_construct()))
    came_from = origins(Settings)
    return [
        EffectiveSetting(
            name=".".join(path),
            variable=variable_of(Settings, path),
            value=_shown(value),
            unit=_unit(path[-1], defaults[path]),
            default=_shown(defaults[path]),
            origin=came_from.get(path, Origin.DEFAULT),
        )
        for path, value in single_settings(settings)
    ]


def _shown(value: object) -> Value:
    match value:
        case SecretStr():
            return _MASK
        case Path():
            return str(value)
        case str() | int() | float() | bool() | None:
            return value
        case _:
            return repr(value)


def _unit(name: str, default: object) -> str:
    """What the models' documentation says, by the rules that their names follow."""
    match default:
        case bool():
            return ""
        case int() if name.endswith("bytes"):
            return "bytes"
        case int():
            return "count"
        case float() if name.endswith(_RATIOS):
            return "ratio"
        case float():
            return "seconds"
        case _:
            return ""
