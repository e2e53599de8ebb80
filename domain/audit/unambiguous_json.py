"""JSON that means the same to every reader: what is to prove something must not read one way here and another there."""

import json
from collections.abc import Sequence
from typing import Any, NoReturn


def read_json(data: str | bytes) -> Any:  # noqa: ANN401 - as JSON is
    """Read JSON. Raises :class:`ValueError` for what is none, a name that stands twice in an object, and no number."""
    try:
        return json.loads(data, object_pairs_hook=_object, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError(str(error)) from None


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in an object")
    return found


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number")
