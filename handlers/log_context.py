"""What the work under way is about: who logs or calls within it need not be told."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType

_facts: ContextVar[Mapping[str, object]] = ContextVar("facts", default=MappingProxyType({}))


@contextmanager
def concerning(**facts: object) -> Iterator[None]:
    """Add facts, such as ``deployment_id``, to what is known within the block and the tasks begun there.

    ``None`` says that a fact is not known.
    """
    known = {name: fact for name, fact in facts.items() if fact is not None}
    token = _facts.set({**_facts.get(), **known})
    try:
        yield
    finally:
        _facts.reset(token)


def concerned() -> Mapping[str, object]:
    """What the work under way is about."""
    return _facts.get()
