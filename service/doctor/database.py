"""Checks of the event log and the views."""

import asyncio
import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from adapters.postgres.address import PostgresAddress, PostgresAddressInvalid
from adapters.postgres.inspection import Inspection, inspect_log, inspect_views
from adapters.postgres.reasons import reason
from service.doctor.finding import Finding, Patience, failed, judged_clock, ok
from service.postgres_stores import PostgresStores
from service.settings import Settings
from service.stores import stores_of

_LOG, _VIEWS, _CLOCK = "database", "views database", "clock against database"
_UNREACHABLE = (
    "see that the server runs, that ROUTEKEEPER_DATABASE__{}URL is right, and that the network lets us through"
)


async def check_stores(settings: Settings, patience: Patience) -> Sequence[Finding]:
    """Whether the log and the views can be reached and used."""
    try:
        stores = stores_of(settings)
    except PostgresAddressInvalid as error:
        return [failed(_LOG, str(error), "correct the setting")]
    if isinstance(stores, PostgresStores):
        log, views = await asyncio.gather(
            asyncio.to_thread(_check_log, stores, settings, patience),
            asyncio.to_thread(_check_views, stores, settings, patience),
        )
        return [*log, views]
    return [_file(_LOG, settings.log_file), _file(_VIEWS, settings.views_file)]


def _check_log(stores: PostgresStores, settings: Settings, patience: Patience) -> Sequence[Finding]:
    seen = _seen(inspect_log, stores.log_address, settings.database.log_schema, patience)
    if isinstance(seen, str):
        return [failed(_LOG, f"{stores.log_place}: {seen}", _UNREACHABLE.format(""))]
    ahead = (datetime.now(UTC) - seen.clock).total_seconds()
    clock = judged_clock(_CLOCK, ahead, patience, f"that of {stores.log_address}")
    return [_judged(_LOG, stores.log_place, seen), clock]


def _check_views(stores: PostgresStores, settings: Settings, patience: Patience) -> Finding:
    seen = _seen(inspect_views, stores.views_address, settings.database.views_schema, patience)
    if isinstance(seen, str):
        return failed(_VIEWS, f"{stores.views_place}: {seen}", _UNREACHABLE.format("VIEWS_"))
    return _judged(_VIEWS, stores.views_place, seen)


def _seen(
    inspect: Callable[..., Inspection], address: PostgresAddress, schema: str, patience: Patience
) -> Inspection | str:
    try:
        return inspect(address, schema, seconds=patience.check_seconds)
    except psycopg.Error as error:
        return reason(error)


def _judged(check: str, place: str, seen: Inspection) -> Finding:
    who = f"{place}: {seen.server}, as role {seen.role}"
    if seen.missing_tables:
        return failed(
            check, f"{who}: there is no {', '.join(seen.missing_tables)}", "run 'routekeeper init' as its owner"
        )
    if seen.missing_rights:
        return failed(
            check,
            f"{who}: a worker needs {', '.join(seen.missing_rights)}",
            "connect as the writer, or let a superuser run 'routekeeper init --roles' and grant the role of the writer",
        )
    return ok(check, who)


def _file(check: str, file: Path) -> Finding:
    """A file that is there can be written to; one that is not can be made."""
    place = file if file.exists() else next(each for each in file.absolute().parents if each.exists())
    if not os.access(place, os.R_OK | os.W_OK):
        return failed(check, f"{file}: no right to read and write {place}", "change its owner, or ROUTEKEEPER_DATA_DIR")
    return ok(check, f"{file}: {'is there' if file.exists() else 'a worker makes it'}")
