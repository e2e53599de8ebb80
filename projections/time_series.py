"""Tables of views that grow with time, and which of their rows may go."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Table, and_, exists


@dataclass(frozen=True, kw_only=True, eq=False)
class TimeSeries:
    """A table of which rows from before a moment may go: those for which ``outdated`` (table, moment) holds.

    A row that may go at one moment may at every later one. No fold asks for it, or it does as if it were still there.
    """

    table: Table
    outdated: Callable[[Table, datetime], ColumnElement[bool]]


def superseded(table: Table, before: datetime) -> ColumnElement[bool]:
    """Rows with a later one of their deployment that is from before the moment too: the last one by then stays."""
    later = table.alias()
    follows = and_(later.c.deployment_id == table.c.deployment_id, later.c.position > table.c.position)
    return and_(table.c.at < before, exists().where(follows, later.c.at < before).correlate(table))
