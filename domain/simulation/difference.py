"""Where what was recorded and what rules come to part: only the fields that differ, each under its path."""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from domain.autoscaling.record import EvaluationRecord
from domain.message import Message

#: Values by their path, such as ``decision.reasoning.rules.0.value``; plain ones, as JSON has them.
Fields = Mapping[str, object]


class Difference(NamedTuple):
    """Something that the rules come to otherwise than is recorded; a field that one side lacks is in the other only."""

    at: datetime
    what: str
    recorded: Fields
    simulated: Fields


def differing(at: datetime, what: str, recorded: object, simulated: object) -> Difference:
    """Compare messages, evaluations, or several of them; an empty mapping or sequence stands for none."""
    one, other = dict(_leaves(recorded)), dict(_leaves(simulated))
    paths = [path for path in one | other if (path in one, one.get(path)) != (path in other, other.get(path))]
    return Difference(
        at,
        what,
        {path: one[path] for path in paths if path in one},
        {path: other[path] for path in paths if path in other},
    )


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, object]]:  # noqa: ANN401 - JSON is anything
    match value:
        case Message():
            yield from _leaves(value.model_dump(mode="json"), path)
        case EvaluationRecord():
            yield from _leaves(value._asdict() | {"memories": _memories(value)}, path)
        case dict():
            for name, each in value.items():
                yield from _leaves(each, f"{path}.{name}" if path else str(name))
        case list() | tuple():
            for number, each in enumerate(value):
                yield from _leaves(each, f"{path}.{number}" if path else str(number))
        case datetime():
            yield path, value.isoformat()
        case _:
            yield path, value


def _memories(record: EvaluationRecord) -> object:
    try:
        return None if record.memories is None else json.loads(record.memories)
    except ValueError:
        # A record that was altered may hold anything.
        return record.memories
