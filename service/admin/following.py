"""How a process is that follows the log: how far its followers are behind, and which of them are halted."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from adapters.event_store.event_log import RecorderEventLog
from adapters.kafka.publisher import EventPublisher
from adapters.metrics.gauges import FollowingGauges, Lag
from domain.deployment import Lifecycle
from handlers.ports import EventLogError, UnknownEventType
from projections.deployments import count_by_lifecycle
from projections.placement import find_view_positions
from projections.threads import in_thread
from service.admin.health import Check, LogTrouble, Status
from service.followers import Follower

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowingSubject:
    """The log and what follows it."""

    event_log: RecorderEventLog
    followers: Sequence[Follower]
    publisher: EventPublisher
    views: Engine
    gauges: FollowingGauges
    clock: Callable[[], datetime]

    @property
    def log_trouble(self) -> LogTrouble | None:
        # Followers tell of their own, which may be trouble with views or with Kafka.
        return None

    def checks(self) -> Iterator[Check]:
        for follower in self.followers:
            if follower.halted is not None:
                yield Check(follower.name, Status.FAILING, f"halted: {follower.halted}")
            elif follower.trouble is not None:
                yield Check(follower.name, Status.DEGRADED, follower.trouble)
            else:
                yield Check(follower.name, Status.OK, "ok")

    def halted(self) -> Mapping[str, int]:
        return {"follower": sum(follower.halted is not None for follower in self.followers)}

    def show(self, now: datetime) -> None:
        """Nothing is known without a query."""

    async def refresh(self, head: int | None) -> None:
        if head is None:
            return
        try:
            self.gauges.set_publisher_lag(await self._lag("publisher", await self.publisher.position(), head))
            positions, counts = await in_thread(self._ask_views)
            views = {view: await self._lag("views", position, head) for view, position in positions.items()}
        except (EventLogError, SQLAlchemyError) as error:
            log.info("Some metrics are not up to date: %s", error, extra={"action": "refresh-metrics"})
            return
        self.gauges.set_view_lags(views)
        self.gauges.set_deployments(counts)

    def _ask_views(self) -> tuple[dict[str, int], Mapping[Lifecycle, int]]:
        with self.views.connect() as connection:
            positions = {row.view: row.position for row in find_view_positions(connection) if row.live}
            return positions, count_by_lifecycle(connection) if positions else {}

    async def _lag(self, follower: str, position: int, head: int) -> Lag:
        if position >= head:
            return Lag(0, 0.0)
        now = self.clock()
        try:
            following = await self.event_log.read(after=position, limit=1)
        except UnknownEventType:
            halted_at = next((each.halted_at for each in self.followers if each.name == follower), None)
            since = halted_at or now
        else:
            since = following[0].recorded.event.at if following else now
        return Lag(head - position, max(0.0, (now - since).total_seconds()))
