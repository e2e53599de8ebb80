"""A worker's admin port as a whole: what is known of the worker, and where that is told."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime

from prometheus_client import CollectorRegistry

from adapters.metrics.telemetry import PrometheusTelemetry
from service.admin.app import admin_app
from service.admin.figures import Figures
from service.admin.health import Health, WorkerParts
from service.admin.server import serving
from service.settings import AdminSettings


class AdminPort:
    """Tells how a worker is; ``telemetry`` is what its parts report to."""

    def __init__(self, settings: AdminSettings, *, clock: Callable[[], datetime]) -> None:
        registry = CollectorRegistry()
        self.health = Health()
        self.telemetry = PrometheusTelemetry(registry)
        self.figures = Figures(self.health, registry, refresh_seconds=settings.refresh_seconds, clock=clock)
        self._settings = settings

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Listen until the end of the block. Raises :class:`~service.admin.server.AdminPortUnusable`."""
        async with serving(self._settings, lambda: admin_app(self.health, self.figures.exposition)):
            yield

    async def watch(self, parts: WorkerParts) -> None:
        """Tell of these parts from now on; until cancelled."""
        self.health.parts = parts
        if self._settings.port:
            await self.figures.run(parts)
        else:
            await asyncio.Event().wait()
