"""Values that are given as a file in YAML or JSON."""

import sys
from pathlib import Path
from typing import TypeVar

import typer
import yaml
from pydantic import BaseModel, ValidationError

#: Largest file that is read (bytes).
_MAX_BYTES = 256 * 1024

M = TypeVar("M", bound=BaseModel)


def read_model(path: Path, model: type[M], *, what: str) -> M:
    """Read a ``model`` from a file, or from the standard input for ``-``.

    Raises ``typer.BadParameter``, which names each field at fault and its value.
    """
    data = _read(path)
    if len(data) > _MAX_BYTES:
        raise typer.BadParameter(f"{what} file {path} has more than {_MAX_BYTES} bytes")
    try:
        # JSON is YAML too.
        return model.model_validate(yaml.safe_load(data))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" (line {mark.line + 1})" if mark else ""
        raise typer.BadParameter(f"{what} file {path} is neither YAML nor JSON{line}") from None
    except ValidationError as error:
        raise typer.BadParameter(f"{what} file {path}: {complaints(error)}") from None


def complaints(error: ValidationError) -> str:
    """Say on one line which fields are at fault, and what they hold."""
    return "; ".join(
        f"{'.'.join(map(str, problem['loc'])) or 'the value'}: {problem['msg'].removeprefix('Value error, ')} "
        f"(it is {problem['input']!r:.80})"
        for problem in error.errors(include_url=False)
    )


def _read(path: Path) -> bytes:
    if str(path) == "-":
        return sys.stdin.buffer.read(_MAX_BYTES + 1)
    try:
        with path.open("rb") as file:
            return file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise typer.BadParameter(f"{path} cannot be read: {error.strerror}") from None
