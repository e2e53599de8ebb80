"""Views as they were: the same folds over a scratch database, up to a position of the log."""

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Engine

from projections.errors import PositionBehind
from projections.runner import LogReader, ProjectionRunner
from projections.view import View

#: After how many new objects garbage is looked for during a replay (count).
_OBJECTS_BETWEEN_COLLECTIONS: Final = 100_000


async def replay(log: LogReader, views: Sequence[View], *, until: int, engine: Engine, batch_size: int = 5_000) -> None:
    """Fold the log up to position ``until`` inclusive into the database of ``engine``, ``batch_size`` events at a time.

    A database that is part of the way there goes on from where it is. Raises :class:`PositionBehind` if it is past
    ``until``.
    """
    runner = ProjectionRunner(engine, views, log, batch_size=batch_size)
    with _rare_collections():
        await runner.catch_up(until=until)
    ahead = {name: position for name, position in runner.positions.items() if position > until}
    if ahead:
        name, position = next(iter(ahead.items()))
        raise PositionBehind(f"view {name} of the scratch database is at position {position}, past {until}")


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Look for garbage less often: events hold no cycles, and to look for some costs a quarter of a replay's time."""
    before = gc.get_threshold()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
