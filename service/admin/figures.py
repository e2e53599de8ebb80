"""Numbers about a worker: some asked for now and then because they cost a query, the others whenever somebody looks."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import datetime

from aiokafka.errors import KafkaError
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from sqlalchemy.exc import SQLAlchemyError

from adapters.metrics.gauges import Lag, WorkerGauges
from domain.deployment import Lifecycle
from handlers.ports import EventLogError, LogUnavailable, UnknownEventType
from projections.deployments import count_by_lifecycle
from projections.placement import find_view_positions
from projections.threads import in_thread
from service.admin.health import Health, Status, WorkerParts

log = logging.getLogger(__name__)


class Figures:
    """Keeps the gauges of one worker; asks its log, Kafka and views every ``refresh_seconds``.

    The event log is given so long to answer before readiness tells that it does not.
    """

    def __init__(
        self, health: Health, registry: CollectorRegistry, *, refresh_seconds: float, clock: Callable[[], datetime]
    ) -> None:
        self._health = health
        self._registry = registry
        self._gauges = WorkerGauges(registry)
        self._refresh_seconds = refresh_seconds
        self._clock = clock
        self._asking: asyncio.Future[int] | None = None

    def exposition(self) -> tuple[bytes, str]:
        """All metrics in Prometheus' text format, and its media type."""
        gauges, parts, now = self._gauges, self._health.parts, self._clock()
        gauges.ready.set(all(check.status is not Status.FAILING for check in self._health.checks()))
        if parts is not None:
            gauges.paused.set(parts.consumer.is_paused)
            gauges.halted.labels("follower").set(sum(f.halted is not None for f in parts.followers))
            gauges.halted.labels("partition").set(len(parts.consumer.halted))
            gauges.halted.labels("deployment").set(len(parts.decider.halted))
            gauges.halted.labels("pauses").set(parts.gate.closed is not None)
            gauges.paused_deployments.set(parts.gate.held)
            earliest = parts.reconciler.queue.earliest()
            gauges.queued.set(len(parts.reconciler.queue))
            gauges.overdue.set(max(0.0, (now - earliest).total_seconds()) if earliest else 0.0)
            gauges.set_circuits(parts.proxy_calls.snapshot())
        return generate_latest(self._registry), CONTENT_TYPE_PLAIN_0_0_4

    async def run(self, parts: WorkerParts) -> None:
        """Ask again and again, until cancelled; what does not answer keeps its last numbers."""
        while True:
            try:
                await self._refresh(parts)
            except Exception:
                # A defect in what only looks on must not end a worker that does its work.
                log.exception("Some metrics are not up to date", extra={"action": "refresh-metrics"})
            await asyncio.sleep(self._refresh_seconds)

    async def _refresh(self, parts: WorkerParts) -> None:
        head = await self._head(parts)
        if head is not None:
            await self._ask_followers(parts, head)
        await self._ask_kafka(parts)

    async def _head(self, parts: WorkerParts) -> int | None:
        """The position of the last event; never two questions at a time, as one may hang."""
        self._asking = self._asking or asyncio.ensure_future(parts.event_log.head())
        try:
            async with asyncio.timeout(self._refresh_seconds):
                head = await asyncio.shield(self._asking)
        except LogUnavailable as error:
            self._asking = None
            self._log_is_away(str(error))
            return None
        except TimeoutError:
            self._log_is_away(f"no answer within {self._refresh_seconds:g} s")
            return None
        self._asking, self._health.log_trouble = None, None
        self._gauges.log_position.set(head)
        return head

    def _log_is_away(self, reason: str) -> None:
        since, _ = self._health.log_trouble or (self._clock(), "")
        self._health.log_trouble = (since, reason)

    async def _ask_followers(self, parts: WorkerParts, head: int) -> None:
        try:
            self._gauges.set_publisher_lag(await self._lag(parts, "publisher", await parts.publisher.position(), head))
            positions, counts = await in_thread(self._ask_views, parts)
            views = {view: await self._lag(parts, "views", position, head) for view, position in positions.items()}
        except (EventLogError, SQLAlchemyError) as error:
            log.info("Some metrics are not up to date: %s", error, extra={"action": "refresh-metrics"})
            return
        self._gauges.set_view_lags(views)
        self._gauges.set_deployments(counts)

    @staticmethod
    def _ask_views(parts: WorkerParts) -> tuple[dict[str, int], Mapping[Lifecycle, int]]:
        with parts.views.connect() as connection:
            positions = {row.view: row.position for row in find_view_positions(connection) if row.live}
            return positions, count_by_lifecycle(connection) if positions else {}

    async def _lag(self, parts: WorkerParts, follower: str, position: int, head: int) -> Lag:
        if position >= head:
            return Lag(0, 0.0)
        now = self._clock()
        try:
            following = await parts.event_log.read(after=position, limit=1)
        except UnknownEventType:
            halted_at = next((each.halted_at for each in parts.followers if each.name == follower), None)
            since = halted_at or now
        else:
            since = following[0].recorded.event.at if following else now
        return Lag(head - position, max(0.0, (now - since).total_seconds()))

    async def _ask_kafka(self, parts: WorkerParts) -> None:
        try:
            async with asyncio.timeout(self._refresh_seconds):
                self._gauges.set_consumer_lags(await parts.consumer.lags())
        except (KafkaError, TimeoutError) as error:
            log.info("The consumer's lag is not known: %r", error, extra={"action": "refresh-metrics"})
