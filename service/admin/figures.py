"""Numbers about a process: some asked for now and then because they cost a query, others whenever somebody looks."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from adapters.metrics.gauges import ProcessGauges
from handlers.ports import LogUnavailable
from service.admin.health import Health, ProcessParts, Status

log = logging.getLogger(__name__)


class Figures:
    """Keeps the gauges of one process; asks its log, Kafka and views every ``refresh_seconds``.

    The event log is given so long to answer before readiness tells that it does not.
    """

    def __init__(
        self, health: Health, registry: CollectorRegistry, *, refresh_seconds: float, clock: Callable[[], datetime]
    ) -> None:
        self._health = health
        self._registry = registry
        self._gauges = ProcessGauges(registry)
        self._refresh_seconds = refresh_seconds
        self._clock = clock
        self._asking: asyncio.Future[int] | None = None

    def exposition(self) -> tuple[bytes, str]:
        """All metrics in Prometheus' text format, and its media type."""
        gauges, parts, now = self._gauges, self._health.parts, self._clock()
        gauges.ready.set(all(check.status is not Status.FAILING for check in self._health.checks()))
        for subject in parts.subjects if parts is not None else ():
            subject.show(now)
            for what, count in subject.halted().items():
                gauges.halted.labels(what).set(count)
        return generate_latest(self._registry), CONTENT_TYPE_PLAIN_0_0_4

    async def run(self, parts: ProcessParts) -> None:
        """Ask again and again, until cancelled; what does not answer keeps its last numbers."""
        while True:
            try:
                head = await self._head(parts)
                for subject in parts.subjects:
                    await subject.refresh(head)
            except Exception:
                # A defect in what only looks on must not end a process that does its work.
                log.exception("Some metrics are not up to date", extra={"action": "refresh-metrics"})
            await asyncio.sleep(self._refresh_seconds)

    async def _head(self, parts: ProcessParts) -> int | None:
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
