"""What a view is: tables, and how an event changes their rows. Nothing else goes into a row than what the log holds."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import MetaData, Table

from domain.recorded import LoggedEvent
from projections.rows import Key, Rows
from projections.time_series import TimeSeries

#: The tables of all views, by the names under which they are queried.
METADATA = MetaData()


@dataclass(frozen=True, kw_only=True, eq=False)
class View:
    """A read model of one or several tables that are folded together.

    ``version`` (from 1) goes up with every change to tables or fold: rows of another version are worth nothing, so the
    view is built anew beside the old one and takes its place. ``handles`` are the event types that change something.
    ``keys`` names the rows that ``fold`` will ask for, so that those of a whole batch are loaded at once. ``series``
    tells which of the tables grow with time, and what of them may go.
    """

    name: str
    version: int
    tables: tuple[Table, ...]
    handles: frozenset[type[Any]]
    fold: Callable[[Rows, LoggedEvent], None]
    keys: Callable[[LoggedEvent], Iterable[tuple[Table, Key]]] = lambda _: ()
    series: tuple[TimeSeries, ...] = ()
