"""``routekeeper copy-log``: the whole event log, from one store to another."""

import sqlite3
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import psycopg
import typer
from rich.console import Console, RenderableType

from adapters.event_store import log_copy
from adapters.event_store.log_copy import LogNotCopied, LogPlace, TableDigest
from adapters.event_store.log_copy_postgres import PostgresLogPlace
from adapters.event_store.log_copy_sqlite import SQLiteLogPlace
from adapters.postgres.address import PostgresAddress
from adapters.postgres.reasons import reason
from service.cli.options import Output
from service.cli.output import Answer, Column, OutputFormat, give, table
from service.settings import load_settings

_FORMS = "A SQLite file, or postgresql://USER@HOST/DATABASE; the password may stand in PGPASSWORD or ~/.pgpass."


def copy_log(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help=f"Where the log is. {_FORMS}")],
    target: Annotated[str, typer.Argument(metavar="TARGET", help="Where it is to be: the same forms. Must be empty.")],
    *,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Copy the event log to another store: events at the same positions, and all that was committed with them.

    Stop workers and followers first. What was written is read back and compared by its digests, and so is the source:
    all of it arrives, or nothing.

    Views are not copied. Whoever follows the log builds them anew from the log.
    """
    schema = load_settings().database.log_schema
    places = [_place(given, schema) for given in (source, target)]
    with Console(stderr=True).status("Copying the log…"):
        try:
            digests = log_copy.copy_log(*places)
        except (psycopg.Error, sqlite3.Error) as error:
            raise LogNotCopied(reason(error)) from None
    give(Answer([asdict(digest) for digest in digests], lambda width: _drawn(digests, width)), output)


def _place(given: str, schema: str) -> LogPlace:
    if given.startswith(("postgresql:", "postgres:")):
        return PostgresLogPlace(PostgresAddress(given), schema)
    return SQLiteLogPlace(Path(given.removeprefix("sqlite:///")))


def _drawn(digests: Sequence[TableDigest], width: int) -> RenderableType:
    columns: Sequence[Column[TableDigest]] = (
        Column(header="TABLE", cell=lambda digest: digest.table),
        Column(header="ROWS", cell=lambda digest: f"{digest.rows:,}", right=True),
        Column(header="SHA-256, SAME IN BOTH", cell=lambda digest: digest.digest),
    )
    return table(digests, columns, width=width, empty="")
