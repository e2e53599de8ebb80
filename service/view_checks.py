"""Verifies the live views: each is built anew beside, and rows that differ are told with the events behind them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import takewhile
from typing import Any, Final
from uuid import UUID

from pydantic import ValidationError
from pydantic_core import to_json
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from adapters.event_store.event_log import RecorderEventLog
from domain.recorded import LoggedEvent
from handlers.ports import UnknownEventType
from projections.catalogue import VIEWS
from projections.database import snapshot
from projections.errors import PositionBehind, ViewDamaged, ViewNotBuilt
from projections.evidence import events_behind
from projections.placement import find_view_positions, rebuild
from projections.pruning import VIEW_HORIZONS, find_horizons
from projections.replay import replay
from projections.threads import in_thread
from projections.verify import Difference, verify
from projections.view import View
from service.checks import Check, Evidence, Finding
from service.retention import nearest_horizon_of_views

#: Events that are folded before progress is told (count).
_STEP: Final = 20_000

#: Most events that are named as evidence of one difference, the newest (count).
_EVIDENCE: Final = 20

#: Most characters of a value that are shown.
_SHOWN: Final = 120

#: How many of them are from before what differs.
_SHOWN_BEFORE: Final = 40


async def build_views(
    log: RecorderEventLog, scratch: Engine, *, live: Engine, progress: Callable[[int], None]
) -> Sequence[Finding]:
    """Fold all views beside the live ones, up to where the last of those is; tells why if that cannot be done."""
    try:
        with snapshot(live) as connection:
            reached = {row.view: row.position for row in find_view_positions(connection) if row.live}
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        what = f"{'.'.join(map(str, wrong['loc']))}: {wrong['msg']}, not {wrong['input']!r}"
        return [Finding(where="view_positions", message=what)]
    except DBAPIError as error:
        return [_unreadable(error)]
    # A position that somebody has set may be past the log's end by any number.
    until = min([await log.head(), *(reached.get(view.name, 0) for view in VIEWS)])
    with snapshot(scratch) as connection:
        position = min((row.position for row in find_view_positions(connection)), default=0)
    try:
        while position < until:
            position = min(position + _STEP, until)
            await replay(log, VIEWS, until=position, engine=scratch)
            progress(position)
    except (ViewDamaged, UnknownEventType, ValidationError) as error:
        what = str(error).partition("\n")[0]
        return [Finding(where="log", message=f"the views cannot be built from this log: {what}")]
    return ()


async def check_view(log: RecorderEventLog, view: View, *, live: Engine, scratch: Engine, limit: int) -> Check:
    """Hold one live view against what :func:`build_views` has begun."""
    try:
        differences = await _differences(log, view, live=live, scratch=scratch, limit=limit)
        # Read after the rows: what was deleted before they were read lies before it.
        with snapshot(live) as connection:
            horizon = find_horizons(connection).get(view.name)
    except (ViewNotBuilt, PositionBehind, ViewDamaged, UnknownEventType, ValidationError) as error:
        return view_check(view, [Finding(where=view.name, message=str(error).partition("\n")[0])])
    except DBAPIError as error:
        return view_check(view, [_unreadable(error)])
    found = [await _explained(log, view, each) for each in differences]
    if horizon is None:
        return view_check(view, found)
    return view_check(
        view,
        [*_too_near(horizon), *found],
        f"old rows from before {horizon:%Y-%m-%d %H:%M:%S} UTC were deleted as retention has it",
    )


async def _differences(
    log: RecorderEventLog, view: View, *, live: Engine, scratch: Engine, limit: int
) -> Sequence[Difference]:
    try:
        return await verify(log, [view], engine=live, scratch=scratch, limit=limit)
    except PositionBehind:
        # The live view was begun anew, by now or since the state that is gone on from was kept.
        await in_thread(rebuild, scratch, view)
    except DBAPIError:
        # Tables that were replaced a moment ago are there at a second look; whatever else it is will be raised again.
        pass
    return await verify(log, [view], engine=live, scratch=scratch, limit=limit)


def _unreadable(error: DBAPIError) -> Finding:
    cause = str(error.orig).partition("\n")[0]
    return Finding(where="views", message=f"cannot be read: {cause}", kind="unreadable")


def _too_near(horizon: datetime) -> Iterator[Finding]:
    """Whoever deletes rows may move the horizon too, but not to where retention would never have it."""
    if horizon > nearest_horizon_of_views(datetime.now(UTC)):
        said = f"rows from before {horizon:%Y-%m-%d %H:%M:%S} UTC may be missing, by the view's horizon"
        yield Finding(where=VIEW_HORIZONS.name, message=f"{said}; retention keeps a day at least")


def view_check(view: View, findings: Sequence[Finding], remark: str = "") -> Check:
    """The check of one view with what was found."""
    tables = ", ".join(table.name for table in view.tables)
    holds = f"every row of {tables} is what the log comes to"
    return Check(name=f"view-{view.name}", holds=holds, findings=tuple(findings), remark=remark)


async def _explained(log: RecorderEventLog, view: View, difference: Difference) -> Finding:
    events = await _events_behind(log, view, difference)
    return Finding(
        where=f"{difference.table} {' '.join(map(str, difference.key))}",
        message=_message(difference) if events or difference.rebuilt else f"{_message(difference)}; no event made it",
        evidence=tuple(evidence_of(each) for each in events[-_EVIDENCE:]),
    )


def evidence_of(logged: LoggedEvent) -> Evidence:
    """An event as evidence."""
    recorded = logged.recorded
    return Evidence(
        position=logged.position, event_id=recorded.event_id, type=recorded.event.name, at=recorded.event.at
    )


async def _events_behind(log: RecorderEventLog, view: View, difference: Difference) -> Sequence[LoggedEvent]:
    """The events that made the row, of the stream that it is about."""
    row = difference.rebuilt or difference.stored or {}
    if isinstance(row.get("position"), int):
        found = await log.read(after=row["position"] - 1, limit=1)
        return [each for each in found if each.position == row["position"]]
    stream = row.get("deployment_id", row.get("id"))
    try:
        events = await log.stream(UUID(str(stream)))
    except ValueError:
        return ()
    table = next(each for each in view.tables if each.name == difference.table)
    return events_behind(view, table, difference.key, events)


def _message(difference: Difference) -> str:
    stored, rebuilt = difference.stored, difference.rebuilt
    if stored is None:
        return f"the row is missing; by the log there is {_shown(rebuilt or {})}"
    if rebuilt is None:
        return f"there is a row that the log does not come to: {_shown(stored)}"
    changed = [name for name, value in stored.items() if rebuilt[name] != value]
    pairs = [(name, _text(stored[name]), _text(rebuilt[name])) for name in changed]
    starts = [max(0, _same(one, other) - _SHOWN_BEFORE) for _, one, other in pairs]
    return "; ".join(
        f"{name} is {_cut(one, start)}, by the log {_cut(other, start)}"
        for (name, one, other), start in zip(pairs, starts, strict=True)
    )


def _same(one: str, other: str) -> int:
    """How many characters two texts have in common at their beginning."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _shown(row: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_cut(_text(value))}" for name, value in list(row.items())[:6])


def _text(value: object) -> str:
    return to_json(value, bytes_mode="base64").decode()


def _cut(text: str, start: int = 0) -> str:
    if len(text) <= _SHOWN:
        return text
    before, after = "…" if start else "", "…" if len(text) > start + _SHOWN else ""
    return f"{before}{text[start : start + _SHOWN]}{after}"
