"""Statements as text for the drivers, which spares SQLAlchemy's work for each execution.

For statements that are executed for every batch and give no rows, whose values the driver takes as they are.
"""

from typing import Final

from sqlalchemy import URL, Insert, Update
from sqlalchemy.dialects import sqlite

#: The dialects as engines use them, with parameters by name.
_DIALECTS: Final = {
    "postgresql": URL.create("postgresql+psycopg").get_dialect()(),
    "sqlite": sqlite.dialect(paramstyle="named"),
}


def driver_sql(statement: Insert | Update, dialect_name: str) -> str:
    """The text of a statement, to be executed with a mapping of its parameters."""
    return str(statement.compile(dialect=_DIALECTS[dialect_name]))
