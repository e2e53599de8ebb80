"""Writes docs/settings.md from the settings themselves: ``python -m service.settings_reference``."""

from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path

from service.settings import Settings
from service.settings_fields import fields_of, is_group

#: Where the reference is kept.
REFERENCE = Path(__file__).parents[1] / "docs" / "settings.md"

_INTRODUCTION = """\
# Settings

None needs to be set. Each is an environment variable, or a file of that name in the folder `ROUTEKEEPER_SECRETS_DIR`,
or a line `NAME=VALUE` of the file `ROUTEKEEPER_ENV_FILE`; the first of these wins. `routekeeper config` shows what is
in force and where it came from. Written from the settings model by `make settings-reference`.

"""


def reference() -> str:
    """The whole page: a table for each group of settings, with what they mean as their model says it."""
    return _INTRODUCTION + "\n".join(_group("General", Settings.model_construct(), "ROUTEKEEPER_"))


def _group(title: str, group: object, prefix: str) -> Iterator[str]:
    fields = dict(fields_of(group))
    nested = {name: value for name, value in fields.items() if is_group(value)}
    yield f"## {title}\n\n{_meaning(group)}\n"
    rows = [f"| `{prefix}{n.upper()}` | {_default(v)} |" for n, v in fields.items() if n not in nested]
    if rows:
        yield "\n".join(["| variable | default |", "|---|---|", *rows, ""])
    for name, value in nested.items():
        yield from _group(f"{title}: {name}" if title != "General" else name, value, f"{prefix}{name.upper()}__")


def _meaning(group: object) -> str:
    """What the model's docstring says, with single backquotes as Markdown has them."""
    return cleandoc(type(group).__doc__ or "").replace("``", "`")


def _default(value: object) -> str:
    return "unset" if value is None or value == "" else f"`{value}`"


if __name__ == "__main__":
    REFERENCE.write_text(reference())
