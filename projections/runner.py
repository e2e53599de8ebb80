"""Keeps views up with the log: reads it in batches, folds them, and stores rows and positions together."""

import asyncio
import logging
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple, Protocol

from sqlalchemy import Engine
from sqlalchemy.exc import DatabaseError, OperationalError, ProgrammingError

from domain.recorded import LoggedEvent
from projections import placement
from projections.errors import ProjectionConflict, ViewDamaged
from projections.folding import ViewFold, apply_batch
from projections.pruning import Pruner
from projections.sqlite_file import reopen_if_replaced, set_aside_if_damaged
from projections.threads import in_thread
from projections.view import View

_log = logging.getLogger(__name__)


class LogReader(Protocol):
    """The log of everything that happened, as far as views need it."""

    async def read(self, *, after: int, limit: int) -> Sequence[LoggedEvent]:
        """At most ``limit`` events behind position ``after``, in log order; raises where one is not understood."""
        ...

    def read_blocking(self, *, after: int, limit: int) -> Sequence[LoggedEvent]:
        """The same, in the thread that asks."""
        ...


class ProjectionRunner:
    """Folds the log into views.

    ``batch_size`` (events) is the most that one transaction holds, ``poll_interval`` (seconds) how long an idle runner
    waits before it looks for events, and how often it looks after its tables; ``cached_rows`` (rows a table) stay in
    memory between batches. ``pruner`` deletes between batches what is old (``None``: everything is kept). A runner is
    for one task at a time; any number of runners may share a database, of which one folds and the others stand by.
    """

    def __init__(
        self,
        engine: Engine,
        views: Sequence[View],
        log: LogReader,
        *,
        batch_size: int = 500,
        poll_interval: float = 0.5,
        cached_rows: int = 10_000,
        pruner: Pruner | None = None,
    ) -> None:
        self._engine = engine
        self._views = tuple(views)
        self._log = log
        self._batch_size = batch_size
        self._poll_interval = poll_interval
        self._cached_rows = cached_rows
        self._pruner = pruner
        self._folds: Sequence[ViewFold] | None = None
        self._checked_at = 0.0
        self._mended_at: dict[str, int] = {}
        self._overtaken = False

    @property
    def positions(self) -> dict[str, int]:
        """How far each view is, by its name, as far as this runner knows."""
        return {fold.placement.view.name: fold.placement.position for fold in self._folds or ()}

    async def run(self, stop: asyncio.Event, wake: asyncio.Event) -> None:
        """Fold until ``stop`` is set. Whoever appends to the log sets ``wake``, which is for this runner alone.

        Raises what the log and the database raise: an event that is not understood halts the views instead of being
        left out. Called again, it goes on where it stopped. A file of SQLite that is gone or damaged is made anew.
        """
        stops = False
        while not stops:
            # Once more after that: what was appended right before would be in no view for as long as nobody works.
            stops = stop.is_set()
            wake.clear()
            try:
                await self._look_after_tables()
                more = await self.step()
                if not self._overtaken:
                    more = await self.prune() or more
            except DatabaseError as error:
                if not await in_thread(set_aside_if_damaged, self._engine, error):
                    raise
                self._folds = None
                # A disk that damages each new file too keeps this going, but must not keep the machine busy.
                await _first_of(stop, within=self._poll_interval)
                continue
            if self._overtaken:
                # Somebody else does the work. Whoever is second leaves it to them, and looks after a while how it goes.
                await _first_of(stop, within=self._poll_interval)
            elif not more:
                await _first_of(stop, wake, within=self._poll_interval)

    async def catch_up(self, *, until: int | None = None) -> None:
        """Fold to the end of the log, or up to position ``until`` inclusive."""
        while await self.step(until=until):
            pass
        # What was read last may have ended before an event that is not understood: only the next look says so.
        await self.step(until=until)

    async def step(self, *, until: int | None = None) -> bool:
        """Fold at most one batch into each view, the most advanced first; tells whether there may be more."""
        more = self._overtaken = False
        for group in _groups(await self._placed(), until):
            more = await self._advance(group) or more
        return more

    async def prune(self) -> bool:
        """Delete some of what is old, if it is time for that; tells whether there may be more of it."""
        if self._pruner is None:
            return False
        try:
            return await self._pruner.step(self._engine, [fold.placement for fold in await self._placed()])
        except ProjectionConflict as conflict:
            self._give_way(conflict)
        except (OperationalError, ProgrammingError):
            if await self._is_intact():
                raise
        return True

    async def rebuild(self, names: Collection[str] = ()) -> None:
        """Drop these views (none named: all of them) and begin them anew; the next steps fold them from zero."""
        for view in self._named(names):
            await in_thread(placement.rebuild, self._engine, view)
        self._folds = None

    async def drop(self, names: Collection[str] = ()) -> None:
        """Remove these views (none named: all of them); the next step would make them anew."""
        for view in self._named(names):
            await in_thread(placement.drop, self._engine, view)
        self._folds = None

    def _named(self, names: Collection[str]) -> list[View]:
        unknown = sorted(set(names) - {view.name for view in self._views})
        if unknown:
            known = ", ".join(view.name for view in self._views)
            raise ValueError(f"there is no view {unknown[0]!r}; the views are {known}")
        return [view for view in self._views if not names or view.name in names]

    async def _placed(self) -> Sequence[ViewFold]:
        if self._folds is None:
            placed = [await in_thread(placement.place, self._engine, view) for view in self._views]
            for view, where in zip(self._views, placed, strict=True):
                if where is None:
                    extra = {"action": "view_superseded", "view": view.name, "version": view.version}
                    _log.warning("a later version of view %s is in use: left alone", view.name, extra=extra)
            self._folds = [
                ViewFold(self._engine, where, cached_rows=self._cached_rows) for where in placed if where is not None
            ]
        return self._folds

    async def _advance(self, group: "_Group") -> bool:
        try:
            more = await in_thread(self._read_and_apply, group)
            if not more:
                await self._promote(group.folds)
        except ProjectionConflict as conflict:
            self._give_way(conflict)
            return True
        except ViewDamaged as damage:
            await self._mend(damage, group)
            return True
        except (OperationalError, ProgrammingError):
            if await self._is_intact():
                raise
            return True
        return more

    def _read_and_apply(self, group: "_Group") -> bool:
        # Both in one thread: to go to another for each was a tenth of the time of a batch of one event.
        events = self._log.read_blocking(after=group.position, limit=self._batch_size)
        batch = [logged for logged in events if group.end is None or logged.position <= group.end]
        more = len(events) == self._batch_size or len(batch) < len(events)
        position = batch[-1].position if batch else group.position
        if group.end is not None and len(batch) < len(events):
            position = group.end
        if position > group.position:
            apply_batch(self._engine, group.folds, batch, position=position)
        return more

    def _give_way(self, conflict: ProjectionConflict) -> None:
        _log.info("views were moved on by somebody else: %s", conflict, extra={"action": "view_conflict"})
        self._folds = None
        self._overtaken = True

    async def _promote(self, folds: Sequence[ViewFold]) -> None:
        for fold in folds:
            if not fold.placement.live:
                await in_thread(placement.promote, self._engine, fold.placement)
                self._folds = None

    async def _mend(self, damage: ViewDamaged, group: "_Group") -> None:
        for fold in group.folds:
            view = fold.placement.view
            tables = fold.placement.tables
            if damage.table not in {*tables, *(table.name for table in tables.values())}:
                continue
            if self._mended_at.get(view.name) == group.position:
                # A rebuild has come to the same: it is the log that is not whole.
                raise damage
            self._mended_at[view.name] = group.position
            _log.warning("rebuilding view %s: %s", view.name, damage, extra={"action": "view_damaged"})
            await in_thread(placement.rebuild, self._engine, view)
        self._folds = None

    async def _look_after_tables(self) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._checked_at >= self._poll_interval:
            self._checked_at = now
            await self._is_intact()

    async def _is_intact(self) -> bool:
        if await in_thread(reopen_if_replaced, self._engine):
            self._folds = None
            return False
        placed = [fold.placement for fold in await self._placed()]
        if await in_thread(placement.intact, self._engine, placed):
            return True
        _log.warning("tables of views are gone: building them anew", extra={"action": "view_tables_gone"})
        self._folds = None
        return False


class _Group(NamedTuple):
    """Views that stand at the same position, and the position that they may go to (``None``: the end of the log)."""

    folds: Sequence[ViewFold]
    position: int
    end: int | None


def _groups(folds: Sequence[ViewFold], until: int | None) -> Iterator[_Group]:
    end = until
    for position in sorted({fold.placement.position for fold in folds}, reverse=True):
        if end is None or position < end:
            yield _Group([fold for fold in folds if fold.placement.position == position], position, end)
        # Whoever comes from behind stops where the next ones were, so that both go on together.
        end = position if end is None else min(end, position)


async def _first_of(*events: asyncio.Event, within: float) -> None:
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, timeout=within, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waiting:
            each.cancel()
