"""What the queries of all views share: typed rows, and a limit on how many."""

from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict
from sqlalchemy import Connection, Select

#: Most rows that a query gives if it is not told otherwise (count).
DEFAULT_LIMIT = 100


class ViewRow(BaseModel):
    """A row as queries give it; never changes."""

    model_config = ConfigDict(frozen=True)


RowType = TypeVar("RowType", bound=ViewRow)


def fetch(connection: Connection, query: Select[Any], row_type: type[RowType]) -> list[RowType]:
    """Run a query and give its rows typed."""
    return [row_type.model_validate(dict(row)) for row in connection.execute(query).mappings()]
