"""Holds where the live views are against the log's end: none is past it, and one that is behind it moves on."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple, Protocol

from pydantic import ValidationError
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from projections.catalogue import VIEWS
from projections.database import snapshot
from projections.placement import VIEW_POSITIONS, ViewPositionRow, find_view_positions
from projections.threads import in_thread
from projections.view import View
from service.checks import Check, Finding

#: How often views that are behind are looked at until they have moved (seconds).
_LOOK_AGAIN: Final = 0.2

#: Where all versions of a view are, by its name.
_Places = Mapping[str, Sequence[ViewPositionRow]]


class _Log(Protocol):
    async def head(self) -> int:
        """The last event's position."""
        ...


async def held_against_end(log: _Log, checks: Sequence[Check], *, live: Engine, within: float) -> Sequence[Check]:
    """Give the checks of all views, in their order, with what there is to be said of where the views are.

    Nothing is found of a view that is behind because it is folded, or built anew: it moves ``within`` so many seconds.
    """
    try:
        places = await in_thread(_places, live)
        # Read last, as views go where the log was before: without tampering none is past it.
        end = await log.head()
        lags = [_Lag(view, position, end) for view in VIEWS if (position := _position(places, view)) is not None]
        stuck = await _stuck(live, places, {lag.view.name for lag in lags if lag.position < end}, within)
    except (DBAPIError, ValidationError):
        # Where positions cannot be read, neither can views be compared, and that was found.
        return checks
    by_view = {lag.view.name: lag for lag in lags}
    return [
        _with(check, by_view[view.name], within if view.name in stuck else None) if view.name in by_view else check
        for view, check in zip(VIEWS, checks, strict=True)
    ]


class _Lag(NamedTuple):
    """Where a view is, and where the log ends."""

    view: View
    position: int
    end: int


def _places(live: Engine) -> _Places:
    with snapshot(live) as connection:
        rows = find_view_positions(connection)
    return {view.name: [row for row in rows if row.view == view.name] for view in VIEWS}


def _position(places: _Places, view: View) -> int | None:
    return next((row.position for row in places[view.name] if row.live and row.version == view.version), None)


async def _stuck(live: Engine, before: _Places, behind: Collection[str], within: float) -> Collection[str]:
    """Those of the views that stay where they are in every version, also in one that is built beside."""
    now = asyncio.get_running_loop().time
    deadline = now() + within
    waiting = set(behind)
    while waiting:
        places = await in_thread(_places, live)
        waiting = {name for name in waiting if places[name] == before[name]}
        if now() >= deadline:
            break
        await asyncio.sleep(_LOOK_AGAIN)
    return waiting


def _with(check: Check, lag: _Lag, stuck: float | None) -> Check:
    """The check with its view's lag; ``stuck``: for how long it was seen not to move (seconds)."""
    said = f"at position {lag.position}, and the log ends at {lag.end}"
    where = f"{VIEW_POSITIONS.name} {lag.view.name}"
    if lag.position > lag.end:
        message = f"{said}: what comes next in the log will be missing from the view"
        found = Finding(where=where, message=message, kind="ahead", first=lag.end + 1, last=lag.position)
    elif stuck is not None:
        message = f"{said}; it has not moved for {stuck:g} seconds, while nobody or a halted process folds the log"
        found = Finding(where=where, message=message, kind="behind", first=lag.position + 1, last=lag.end)
    elif lag.position < lag.end:
        return replace(check, remark="; ".join(filter(None, (check.remark, f"{said}: it is catching up"))))
    else:
        return check
    return replace(check, findings=(found, *check.findings))
