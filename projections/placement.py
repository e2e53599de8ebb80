"""Where the rows of a view stand: which tables hold them, up to which position of the log, and for whom."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Engine,
    Integer,
    MetaData,
    Table,
    and_,
    bindparam,
    delete,
    insert,
    inspect,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.schema import CreateTable, DropTable

from projections.columns import WORD
from projections.database import defining
from projections.driver_sql import driver_sql
from projections.errors import ProjectionConflict
from projections.querying import ViewRow, fetch
from projections.view import METADATA, View

VIEW_POSITIONS = Table(
    "view_positions",
    METADATA,
    Column("view", WORD, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("position", BigInteger, nullable=False),
    # Whether queries see this version's rows; another one is being built beside it.
    Column("live", Boolean, nullable=False),
    # Names of the tables that queries see, joined by blanks: what to drop when another version takes its place.
    Column("tables", WORD, nullable=False),
)

#: What tells a placement from others in the table of positions.
_PLACE: Final = ("view", "version", "live")


@dataclass(frozen=True, kw_only=True)
class Placement:
    """One version of a view in a database; ``tables`` are the stored ones by the names they are defined under."""

    view: View
    position: int
    live: bool
    tables: Mapping[str, Table]


class ViewPositionRow(ViewRow):
    """How far a version of a view is; queries see the rows of the ``live`` one."""

    view: str
    version: int
    position: int
    live: bool


def find_view_positions(connection: Connection) -> list[ViewPositionRow]:
    """How far every view is, in every version that there is."""
    if not _exist(connection, [VIEW_POSITIONS.name]):
        return []
    table = VIEW_POSITIONS.c
    return fetch(connection, select(VIEW_POSITIONS).order_by(table.view, table.version), ViewPositionRow)


def place(engine: Engine, view: View) -> Placement | None:
    """Find the view's rows, or make tables for them; ``None`` if a later version of the view is in use.

    Tables or positions that are not whole are dropped and begun anew: rows of unknown origin are worth nothing.
    """
    with defining(engine) as connection:
        connection.execute(CreateTable(VIEW_POSITIONS, if_not_exists=True))
        positions = connection.execute(select(VIEW_POSITIONS).where(VIEW_POSITIONS.c.view == view.name)).all()
        live = next((row for row in positions if row.live), None)
        mine = next((row for row in positions if row.version == view.version), None)
        if live is not None and live.version > view.version:
            return None
        beside = live is not None and live.version < view.version and _exist(connection, live.tables.split())
        stored = _stored_tables(view, beside=beside)
        if mine is not None and mine.live != beside and _exist(connection, _names(stored.values())):
            return Placement(view=view, position=mine.position, live=mine.live, tables=stored)
        return _begin(connection, view, stored, beside=beside)


def rebuild(engine: Engine, view: View) -> Placement:
    """Drop the view's rows in every version and begin anew, at position 0."""
    with defining(engine) as connection:
        _drop(connection, view)
        connection.execute(CreateTable(VIEW_POSITIONS, if_not_exists=True))
        return _begin(connection, view, _stored_tables(view, beside=False), beside=False)


def drop(engine: Engine, view: View) -> None:
    """Remove the view's tables and positions."""
    with defining(engine) as connection:
        _drop(connection, view)


def promote(engine: Engine, placement: Placement) -> Placement:
    """Let rows that were built beside a view's earlier version take its place. Raises :class:`ProjectionConflict`."""
    view = placement.view
    mine = _is(placement)
    with defining(engine) as connection:
        if connection.execute(update(VIEW_POSITIONS).where(mine).values(live=True)).rowcount != 1:
            raise ProjectionConflict(f"version {view.version} of view {view.name} was promoted or dropped meanwhile")
        others = and_(VIEW_POSITIONS.c.view == view.name, VIEW_POSITIONS.c.version < view.version)
        for names in connection.scalars(select(VIEW_POSITIONS.c.tables).where(others, VIEW_POSITIONS.c.live)).all():
            _drop_tables(connection, names.split())
        connection.execute(delete(VIEW_POSITIONS).where(others))
        for table in view.tables:
            quoted = connection.dialect.identifier_preparer.quote
            stored = placement.tables[table.name].name
            connection.execute(text(f"ALTER TABLE {quoted(stored)} RENAME TO {quoted(table.name)}"))
            for index in table.indexes:
                index.create(connection, checkfirst=False)
    return replace(placement, live=True, tables=_stored_tables(view, beside=False))


def advance(connection: Connection, placements: Sequence[Placement], position: int) -> None:
    """Move the positions of views that stand at the same one. Raises :class:`ProjectionConflict` if one does not."""
    expected = placements[0].position
    parameters: dict[str, object] = {"expected": expected, "following": position}
    for index, each in enumerate(placements):
        place = each.view.name, each.view.version, each.live
        parameters.update(zip(_place_parameters(index), place, strict=True))
    moved = connection.exec_driver_sql(_advance(len(placements), connection.dialect.name), parameters).rowcount
    if moved != len(placements):
        names = ", ".join(placement.view.name for placement in placements)
        raise ProjectionConflict(f"{len(placements) - moved} of the views {names} are not at position {expected}")


def intact(engine: Engine, placements: Collection[Placement]) -> bool:
    """Whether all tables are where they should be; cheap enough to be asked every now and then."""
    with engine.connect() as connection:
        names = {name for placement in placements for name in _names(placement.tables.values())}
        if not _exist(connection, [VIEW_POSITIONS.name, *names]):
            return False
        stored = {(row.view, row.version) for row in connection.execute(select(VIEW_POSITIONS))}
        return all((placement.view.name, placement.view.version) in stored for placement in placements)


@cache
def _advance(count: int, dialect_name: str) -> str:
    """The statement for so many placements, made once.

    Made for each batch it was half the processor's time of a batch of one event, executed by SQLAlchemy still 6 %.
    """
    places = [
        and_(
            *(
                VIEW_POSITIONS.c[of] == bindparam(name)
                for of, name in zip(_PLACE, _place_parameters(index), strict=True)
            )
        )
        for index in range(count)
    ]
    standing = or_(*places), VIEW_POSITIONS.c.position == bindparam("expected")
    changes = update(VIEW_POSITIONS).where(*standing).values(position=bindparam("following"))
    return driver_sql(changes, dialect_name)


def _place_parameters(index: int) -> Sequence[str]:
    return [f"{name}_{index}" for name in _PLACE]


def _is(placement: Placement) -> ColumnElement[bool]:
    return and_(
        VIEW_POSITIONS.c.view == placement.view.name,
        VIEW_POSITIONS.c.version == placement.view.version,
        VIEW_POSITIONS.c.live == placement.live,
        VIEW_POSITIONS.c.position == placement.position,
    )


def _begin(connection: Connection, view: View, stored: Mapping[str, Table], *, beside: bool) -> Placement:
    _drop_tables(connection, _names(stored.values()))
    for table in stored.values():
        table.create(connection, checkfirst=False)
    mine = and_(VIEW_POSITIONS.c.view == view.name, VIEW_POSITIONS.c.version == view.version)
    connection.execute(delete(VIEW_POSITIONS).where(mine))
    if not beside:
        connection.execute(delete(VIEW_POSITIONS).where(VIEW_POSITIONS.c.view == view.name, VIEW_POSITIONS.c.live))
    row = {"view": view.name, "version": view.version, "position": 0, "live": not beside}
    connection.execute(insert(VIEW_POSITIONS), row | {"tables": " ".join(_names(view.tables))})
    return Placement(view=view, position=0, live=not beside, tables=stored)


def _drop(connection: Connection, view: View) -> None:
    names = [*_names(view.tables)]
    if _exist(connection, [VIEW_POSITIONS.name]):
        for row in connection.execute(select(VIEW_POSITIONS).where(VIEW_POSITIONS.c.view == view.name)).all():
            names += row.tables.split() if row.live else (_beside(name, row.version) for name in row.tables.split())
        connection.execute(delete(VIEW_POSITIONS).where(VIEW_POSITIONS.c.view == view.name))
    _drop_tables(connection, names)


def _drop_tables(connection: Connection, names: Iterable[str]) -> None:
    for name in names:
        connection.execute(DropTable(Table(name, MetaData()), if_exists=True))


def _stored_tables(view: View, *, beside: bool) -> Mapping[str, Table]:
    if not beside:
        return {table.name: table for table in view.tables}
    stored = {}
    for table in view.tables:
        copy = table.to_metadata(MetaData(), name=_beside(table.name, view.version))
        # Names of indexes are unique in a database, so a table that is built beside another gets them in its place.
        copy.indexes.clear()
        stored[table.name] = copy
    return stored


def _beside(name: str, version: int) -> str:
    return f"{name}__v{version}"


def _names(tables: Iterable[Table]) -> list[str]:
    return [table.name for table in tables]


def _exist(connection: Connection, names: Collection[str]) -> bool:
    return set(names) <= set(inspect(connection).get_table_names())
