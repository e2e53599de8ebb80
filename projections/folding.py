"""Folding one batch of events into the rows of views, and writing the rows and positions in one transaction."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from sqlalchemy import Connection, Engine, Table

from domain.recorded import LoggedEvent
from projections.database import writing
from projections.placement import Placement, advance
from projections.rows import Key, Rows
from projections.writer import TableWriter


class ViewFold:
    """The rows of one placed view, as far as they are in memory; ``cached_rows`` (a table) are kept between batches."""

    def __init__(self, engine: Engine, placement: Placement, *, cached_rows: int) -> None:
        self.placement = placement
        self.rows = Rows(placement.view.tables, limit=cached_rows)
        self._writers = {name: TableWriter(table, engine.dialect.name) for name, table in placement.tables.items()}

    def fold(self, connection: Connection, events: Sequence[LoggedEvent]) -> None:
        """Fold those of the events that change something here, in memory."""
        view = self.placement.view
        relevant = [logged for logged in events if type(logged.recorded.event) in view.handles]
        wanted: dict[Table, dict[Key, None]] = {table: {} for table in view.tables}
        for logged in relevant:
            for table, key in view.keys(logged):
                wanted[table][key] = None
        self.load(connection, wanted)
        for logged in relevant:
            view.fold(self.rows, logged)

    def write(self, connection: Connection) -> None:
        """Write what folding has changed."""
        for rows in self.rows:
            self._writers[rows.table.name].write(connection, rows)

    def written(self, position: int) -> None:
        """Note that everything up to ``position`` is stored."""
        self.rows.written()
        self.placement = replace(self.placement, position=position)

    def load(self, connection: Connection, wanted: Mapping[Table, Iterable[Key]]) -> None:
        """Have the rows with these keys in memory, before they are asked for."""
        for table in wanted:
            if unknown := self.rows.of(table).unknown(wanted[table]):
                self._writers[table.name].load(connection, self.rows.of(table), unknown)


def apply_batch(engine: Engine, folds: Sequence[ViewFold], events: Sequence[LoggedEvent], *, position: int) -> None:
    """Fold events into views that all stand right before them, and store that they stand at ``position`` now.

    All or nothing is stored. On any error the rows in memory are given up, because they may be ahead of the stored
    ones. Raises :class:`ProjectionConflict` where the views do not stand where they should, :class:`ViewDamaged`, and
    what the database raises.
    """
    try:
        # What is loaded is part of the transaction: to borrow a connection and begin another one are round trips too.
        with writing(engine) as connection:
            advance(connection, [fold.placement for fold in folds], position)
            for fold in folds:
                fold.fold(connection, events)
            for fold in folds:
                fold.write(connection)
    except BaseException:
        # Rows in memory are of a transaction that did not happen, whatever ended it.
        for fold in folds:
            fold.rows.forget()
        raise
    for fold in folds:
        fold.written(position)
