"""Deployments as last committed: from memory, else from the log; and those that this version does not understand."""

import logging
from collections.abc import Collection, Mapping
from uuid import UUID

from domain.deployment import Deployment
from handlers.aggregate_cache import Memory
from handlers.ports import DecisionLog, UnknownEventType

log = logging.getLogger(__name__)


class KnownDeployments:
    """Looks deployments up. ``halted`` says, by id, why some of them cannot be decided for by this version.

    An event of an unknown type was written by a later version: deciding without it would be deciding on another
    deployment than there is.
    """

    def __init__(self, event_log: DecisionLog, memory: Memory) -> None:
        self.halted: dict[UUID, str] = {}
        self._log = event_log
        self._memory = memory

    async def all(self, ids: Collection[UUID], unread: Collection[UUID] = ()) -> Mapping[UUID, Deployment]:
        """Every one of these that exists; those ``unread`` are looked for in memory only.

        Raises :class:`UnknownEventType` where one of them is not understood.
        """
        known = {key: state for key in ids if (state := self._memory.deployment(key)) is not None}
        missing = [key for key in ids if key not in known and key not in unread]
        if not missing:
            return known
        try:
            loaded = await self._log.deployments(missing)
        except UnknownEventType as error:
            self._note(error)
            raise
        for key in self.halted.keys() & missing:
            del self.halted[key]
        return known | dict(loaded)

    async def understood(self, ids: Collection[UUID]) -> Mapping[UUID, Deployment]:
        """Those of them that exist and that this version understands."""
        try:
            return await self.all(ids)
        except UnknownEventType as error:
            if not error.streams:
                raise
            return await self.all([key for key in ids if key not in error.streams])

    async def stream_versions(self, streams: Collection[UUID]) -> dict[UUID, int]:
        """The versions of the last events in some of intake's own streams (0: there is none)."""
        versions = {}
        for stream in streams:
            known = self._memory.stream_version(stream)
            versions[stream] = await self._log.stream_version(stream) if known is None else known
        return versions

    def _note(self, error: UnknownEventType) -> None:
        for key, reason in error.streams.items():
            if key not in self.halted:
                extra = {"action": "deployment-halted", "deployment_id": str(key)}
                log.error("deployment %s is left alone: %s", key, reason, extra=extra)
            self.halted[key] = reason
