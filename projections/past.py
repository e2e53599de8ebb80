"""Past states of views in scratch databases: from the nearest checkpoint on, or from the streams of a few deployments.

Both come to the rows that the live views held at that position, by the same folds.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from sqlalchemy import Engine

from domain.recorded import LoggedEvent
from projections.checkpoints import CheckpointLimits, Checkpoints, fingerprint
from projections.database import open_database
from projections.replay import replay
from projections.runner import LogReader
from projections.threads import in_thread
from projections.view import View


class EventsRead:
    """Events that have been read already, as a log."""

    def __init__(self, events: Iterable[LoggedEvent]) -> None:
        self._events = sorted(events, key=lambda logged: logged.position)

    async def read(self, *, after: int, limit: int) -> Sequence[LoggedEvent]:
        return self.read_blocking(after=after, limit=limit)

    def read_blocking(self, *, after: int, limit: int) -> Sequence[LoggedEvent]:
        return [logged for logged in self._events if logged.position > after][:limit]


async def fold_streams(streams: Iterable[Sequence[LoggedEvent]], views: Sequence[View], *, until: int) -> Engine:
    """Fold only these streams, in memory: what the views hold of their deployments is the same as of the whole log."""
    events = [logged for stream in streams for logged in stream if logged.position <= until]
    engine = open_database("sqlite://")
    # One batch: what was read is in memory anyway.
    await replay(EventsRead(events), views, until=until, engine=engine, batch_size=max(1, len(events)))
    return engine


async def fold_past(
    log: LogReader, views: Sequence[View], *, until: int, scratch: Path, cache: Path | None, limits: CheckpointLimits
) -> Engine:
    """Fold the log up to ``until`` inclusive into the new file ``scratch``, from the nearest checkpoint in ``cache``.

    Leaves checkpoints on the way, as far as the cache can be written; ``None`` does without.
    """
    first = await log.read(after=0, limit=1)
    if cache is None or not first or not limits.most:
        engine = open_database(f"sqlite:///{scratch}")
        await replay(log, views, until=until, engine=engine)
        return engine
    checkpoints = Checkpoints(cache, first[0], views, limits)
    position = await _load_nearest(log, checkpoints, until, scratch)
    engine = open_database(f"sqlite:///{scratch}")
    with suppress(OSError, sqlite3.Error):
        while stop := await _next_stop(log, position + limits.spacing, until):
            await replay(log, views, until=stop.position, engine=engine)
            await in_thread(checkpoints.save, stop, scratch)
            position = stop.position
    await replay(log, views, until=until, engine=engine)
    return engine


async def _load_nearest(log: LogReader, checkpoints: Checkpoints, until: int, scratch: Path) -> int:
    """Copy the nearest checkpoint that is one of this log's, and give its position (0: there is none)."""
    for checkpoint in await in_thread(checkpoints.until, until):
        found = await log.read(after=checkpoint.position - 1, limit=1)
        # A log that was restored from a backup may have gone on differently.
        if not found or found[0].position != checkpoint.position or fingerprint(found[0]) != checkpoint.event:
            continue
        if await in_thread(checkpoints.load, checkpoint, scratch):
            return checkpoint.position
    return 0


async def _next_stop(log: LogReader, position: int, until: int) -> LoggedEvent | None:
    """The first event at or behind a position, unless that is past the end."""
    if position > until:
        return None
    found = await log.read(after=position - 1, limit=1)
    return found[0] if found and found[0].position <= until else None
