"""The admin port as a whole: what is known of a process, and where that is told."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from functools import cached_property

from prometheus_client import CollectorRegistry

from adapters.metrics.gauges import DecidingGauges, FollowingGauges
from adapters.metrics.telemetry import PrometheusTelemetry
from service.admin.app import admin_app
from service.admin.figures import Figures
from service.admin.health import Health, ProcessParts
from service.admin.server import serving
from service.settings import AdminSettings


class AdminPort:
    """Tells how a process is, which is called ``process``; shows only the metrics that its parts have asked for."""

    def __init__(self, settings: AdminSettings, *, clock: Callable[[], datetime], process: str = "worker") -> None:
        self._registry = CollectorRegistry()
        self.health = Health(process)
        self.figures = Figures(self.health, self._registry, refresh_seconds=settings.refresh_seconds, clock=clock)
        self._settings = settings

    @cached_property
    def telemetry(self) -> PrometheusTelemetry:
        """What the parts that decide and act report to."""
        return PrometheusTelemetry(self._registry)

    @cached_property
    def deciding(self) -> DecidingGauges:
        """How these parts are."""
        return DecidingGauges(self._registry)

    @cached_property
    def following(self) -> FollowingGauges:
        """How the parts are that follow the log."""
        return FollowingGauges(self._registry)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Listen until the end of the block. Raises :class:`~service.admin.server.AdminPortUnusable`."""
        async with serving(self._settings, lambda: admin_app(self.health, self.figures.exposition)):
            yield

    async def watch(self, parts: ProcessParts) -> None:
        """Tell of these parts from now on; until cancelled."""
        self.health.parts = parts
        if self._settings.port:
            await self.figures.run(parts)
        else:
            await asyncio.Event().wait()
