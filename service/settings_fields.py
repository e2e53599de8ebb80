"""The settings one by one, as their models nest them."""

import dataclasses
from collections.abc import Iterator

from pydantic import BaseModel

#: A setting's name, group by group.
FieldPath = tuple[str, ...]


def fields_of(group: object) -> Iterator[tuple[str, object]]:
    """What a group holds, by name."""
    if isinstance(group, BaseModel):
        yield from ((name, getattr(group, name)) for name in type(group).model_fields)
    elif dataclasses.is_dataclass(group):
        yield from ((field.name, getattr(group, field.name)) for field in dataclasses.fields(group))


def is_group(value: object) -> bool:
    """Whether a value is a group of settings."""
    return isinstance(value, BaseModel) or (dataclasses.is_dataclass(value) and not isinstance(value, type))


def single_settings(group: object, above: FieldPath = ()) -> Iterator[tuple[FieldPath, object]]:
    """All settings below a group with their values, in the order in which the models have them."""
    for name, value in fields_of(group):
        path = (*above, name)
        if is_group(value):
            yield from single_settings(value, path)
        else:
            yield path, value
