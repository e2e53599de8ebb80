"""Watches the views, as anybody may, until they show what is waited for."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar
from uuid import UUID

from sqlalchemy import Connection

from domain.errors import RoutekeeperError
from projections.deployments import DeploymentRow, resolve_deployment
from projections.errors import UnknownDeployment
from projections.rejected_records import RejectedRecordRow, find_rejected_records
from projections.routes import RouteRow, find_routes
from service.cli.errors import ViewsMissing
from service.cli.reading import reading_views
from service.settings import Settings

T = TypeVar("T")

#: Most routes, and most refused records, that are looked at (count).
_MOST_ROWS = 1000


class NotReached(RoutekeeperError):
    """A state was not reached in time."""


class Audience:
    """Looks at the views every ``interval`` seconds, and gives up on a state after ``patience`` seconds."""

    def __init__(self, settings: Settings, *, patience: float, interval: float = 0.05) -> None:
        self._settings = settings
        self._patience = patience
        self._interval = interval

    async def until(self, deployment_id: UUID, reached: Callable[[DeploymentRow], bool]) -> None:
        """Wait until a deployment is as wanted. Raises :class:`NotReached`, saying how it is instead."""
        seen: DeploymentRow | None = None

        async def is_reached() -> bool:
            nonlocal seen
            seen = await self._look(lambda connection: _deployment(connection, deployment_id), None)
            return seen is not None and reached(seen)

        if not await self._wait(is_reached):
            state = "is not in the views" if seen is None else _summary(seen)
            raise NotReached(f"after {self._patience:g} s deployment {deployment_id} {state}")

    async def routes(self, deployment_id: UUID) -> Sequence[RouteRow]:
        """The routes of a deployment, also those that are over."""
        none: Sequence[RouteRow] = ()
        return await self._look(
            lambda c: find_routes(c, deployment_id=deployment_id, ended=True, limit=_MOST_ROWS), none
        )

    async def rejected(self) -> Sequence[RejectedRecordRow]:
        """The records that were refused."""
        none: Sequence[RejectedRecordRow] = ()
        return await self._look(lambda c: find_rejected_records(c, limit=_MOST_ROWS), none)

    async def until_rejected(self, count: int) -> None:
        """Wait until at least ``count`` records were refused. Raises :class:`NotReached`."""

        async def is_reached() -> bool:
            return len(await self.rejected()) >= count

        if not await self._wait(is_reached):
            raise NotReached(f"after {self._patience:g} s only {len(await self.rejected())} of {count} were refused")

    async def _wait(self, is_reached: Callable[[], Awaitable[bool]]) -> bool:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._patience
        while not await is_reached():
            if loop.time() > deadline:
                return False
            await asyncio.sleep(self._interval)
        return True

    async def _look(self, query: Callable[[Connection], T], nothing_yet: T) -> T:
        def look() -> T:
            with reading_views(self._settings) as connection:
                return query(connection)

        try:
            return await asyncio.to_thread(look)
        except ViewsMissing:
            return nothing_yet


def _deployment(connection: Connection, deployment_id: UUID) -> DeploymentRow | None:
    try:
        return resolve_deployment(connection, str(deployment_id))
    except UnknownDeployment:
        return None


def _summary(row: DeploymentRow) -> str:
    replicas = f"{row.target_replica_count}/{row.active_replicas}/{row.healthy_replicas}"
    return f"is {row.lifecycle.value} with {replicas} replicas desired/active/healthy"
