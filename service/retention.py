"""What is kept beside the log for some time only, and the follower that deletes what is older."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Final

from pydantic import Field

from adapters.kafka.stoppable import wait_for_event
from domain.audit.commit_times import MOST_APART
from handlers.ports import EventLog, Retained
from projections.pruning import Pruner

log = logging.getLogger(__name__)

_HOUR = 3600.0
_DAY = 24 * _HOUR
_LONGEST = 3650 * _DAY
#: For how long an outcome must be kept at least (seconds).
_SHORTEST_OF_OUTCOMES: Final = _HOUR
#: What views must keep at least (seconds).
_SHORTEST_IN_VIEWS: Final = _DAY


def nearest_horizon_of_outcomes(now: datetime) -> datetime:
    """The latest moment before which retention can have deleted outcomes, also by a clock that is ahead of ``now``."""
    return now - timedelta(seconds=_SHORTEST_OF_OUTCOMES) + MOST_APART


def nearest_horizon_of_views(now: datetime) -> datetime:
    """The same of rows of views."""
    return now - timedelta(seconds=_SHORTEST_IN_VIEWS) + MOST_APART


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionSettings:
    """For how long is kept what stands beside the events, which themselves are never deleted; times in seconds.

    ``samples_seconds``: metric samples. ``evaluations_seconds``: evaluations of scaling rules; at least two hours, as
    the longest window of a rule is one, and after a restart a cooldown that is longer than this may begin anew.
    ``command_outcomes_seconds``: by which a command that comes twice is recognised; not shorter than the retention of
    the commands topic. ``views_seconds``: rows of views that tell what was; questions about earlier moments are
    answered from the log. ``interval_seconds``: how often what is older is looked for. ``batch_rows``: deleted in one
    transaction, and of views looked at (count).
    """

    samples_seconds: Annotated[float, Field(ge=_HOUR, le=_LONGEST)] = 7 * _DAY
    evaluations_seconds: Annotated[float, Field(ge=2 * _HOUR, le=_LONGEST)] = 30 * _DAY
    command_outcomes_seconds: Annotated[float, Field(ge=_SHORTEST_OF_OUTCOMES, le=_LONGEST)] = 14 * _DAY
    views_seconds: Annotated[float, Field(ge=_SHORTEST_IN_VIEWS, le=_LONGEST)] = 90 * _DAY
    interval_seconds: Annotated[float, Field(gt=0, le=_DAY)] = 600.0
    batch_rows: Annotated[int, Field(ge=1, le=100_000)] = 5000

    def horizons(self, now: datetime) -> Iterator[tuple[Retained, datetime]]:
        """Before which moment each kind may go."""
        yield Retained.SAMPLES, now - timedelta(seconds=self.samples_seconds)
        yield Retained.EVALUATIONS, now - timedelta(seconds=self.evaluations_seconds)
        yield Retained.OUTCOMES, now - timedelta(seconds=self.command_outcomes_seconds)

    def views_from(self, now: datetime) -> datetime:
        """From which moment on views keep everything."""
        return now - timedelta(seconds=self.views_seconds)

    def views_pruner(self, clock: Callable[[], datetime]) -> Pruner:
        """What deletes old rows of views, by whoever folds them."""
        return Pruner(lambda: self.views_from(clock()), interval=self.interval_seconds, batch_rows=self.batch_rows)


async def keep_pruning(
    event_log: EventLog, settings: RetentionSettings, clock: Callable[[], datetime], stop: asyncio.Event
) -> None:
    """Delete what is too old, now and again every interval, until ``stop``.

    Raises :class:`~handlers.ports.LogUnavailable`.
    """
    while not stop.is_set():
        for what, before in settings.horizons(clock()):
            deleted = await _prune(event_log, what, before, settings.batch_rows, stop)
            if deleted:
                log.info("Deleted %d rows of %s from before %s", deleted, what, before.isoformat(timespec="seconds"))
        await wait_for_event(stop, settings.interval_seconds)


async def _prune(event_log: EventLog, what: Retained, before: datetime, limit: int, stop: asyncio.Event) -> int:
    """Batch by batch, so that others write in between, until one finds nothing."""
    deleted = 0
    while not stop.is_set() and (some := await event_log.prune(what, before=before, limit=limit)):
        deleted += some
    return deleted
