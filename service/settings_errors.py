"""What is wrong with settings, by the names that people give them; never with a secret."""

import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings

from adapters.secrets import FieldInvalid
from service.settings_fields import single_settings
from service.settings_sources import ENV_FILE, SECRETS_DIR, settings_sources

#: How alike a name must be to be taken for what was meant (ratio).
_ALIKE: Final = 0.75
#: What says that a name is none of ours.
_UNKNOWN: Final = frozenset({"extra_forbidden", "unexpected_keyword_argument"})
#: What the names of secrets have in them, and of addresses, which may hold a password.
_SECRET: Final = re.compile("password|secret|token|url")
#: What stands between credentials and a host.
_BEFORE_HOST: Final = "@"


def variable_of(settings: type[BaseSettings], path: Iterable[object]) -> str:
    """The environment variable of a setting."""
    return f"{settings.model_config.get('env_prefix', '')}{'__'.join(map(str, path))}".upper()


def unknown_variables(settings: type[BaseSettings]) -> list[str]:
    """Say of each name that looks like a setting and is none what was meant; behind ``__`` its group is asked."""
    prefix = settings.model_config.get("env_prefix", "").lower()
    ours = {ENV_FILE.lower(), SECRETS_DIR.lower()}
    names = {name.lower() for source in settings_sources(settings).values() for name in source.env_vars}
    return [
        f"{name.upper()}: there is no such setting{_meant(settings, name.upper())}"
        for name in sorted(names - ours)
        if name.startswith(prefix)
        # What is set for tests is none of ours.
        and not name.startswith(f"{prefix}test_")
        and name.removeprefix(prefix).split("__", 1)[0] not in settings.model_fields
    ]


def complaints(settings: type[BaseSettings], error: ValidationError) -> Iterator[str]:
    """One line for each setting at fault: its variable, what is wrong, and its value unless that may be a secret."""
    for problem in error.errors(include_url=False):
        cause = problem.get("ctx", {}).get("error")
        variable = variable_of(settings, problem["loc"])
        if isinstance(cause, FieldInvalid):
            yield f"{variable}__{cause.field.upper()}: {cause}"
        elif problem["type"] in _UNKNOWN:
            # Whatever it was meant for, it may be a secret.
            yield f"{variable}: there is no such setting{_meant(settings, variable)}"
        else:
            words = problem["msg"].removeprefix("Value error, ")
            yield f"{variable}: {words} (it is {_shown(settings, problem)})"


def _meant(settings: type[BaseSettings], variable: str) -> str:
    near = get_close_matches(variable, _variables(settings), n=2, cutoff=_ALIKE)
    return f"; did you mean {' or '.join(near)}?" if near else ""


def _variables(settings: type[BaseSettings]) -> list[str]:
    return [variable_of(settings, path) for path, _ in single_settings(settings.model_construct())]


def _shown(settings: type[BaseSettings], problem: ErrorDetails) -> str:
    """The value at fault, unless it may be a secret or hold one, as what is given for a whole group may."""
    variable, value = variable_of(settings, problem["loc"]), problem["input"]
    is_single = variable in _variables(settings) and isinstance(value, str | int | float | bool | None)
    may_be_secret = _SECRET.search(variable.lower()) or _BEFORE_HOST in str(value)
    return f"{value!r:.80}" if is_single and not may_be_secret else "not shown"
