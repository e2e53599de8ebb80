"""What runs side by side in a worker, and in which order it ends."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from adapters.kafka.consumer import RecordConsumer
from handlers.commit import Commit
from handlers.metric_poller import MetricPoller
from service.admin.health import ProcessParts
from service.admin.port import AdminPort
from service.bootstrap import ControlPlane, utc_now
from service.consumption_pause import pause_while_unavailable
from service.following import Following
from service.settings import Settings
from service.stores import Stores


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """Everything that runs side by side in one worker; made by :func:`service.worker_parts.open_worker`.

    ``joined`` is awaited whenever the worker begins to be noticed as one that works on the log.
    """

    settings: Settings
    reload: Callable[[], None]
    plane: ControlPlane
    consumer: RecordConsumer
    following: Following
    stores: Stores
    joined: Callable[[], Awaitable[None]]
    poller: MetricPoller | None
    admin: AdminPort
    parts: ProcessParts

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set; then read no more, finish what is under way, and let the followers catch up.

        Raises what ends a worker: an input that cannot be read on.
        """
        pauses_wake = asyncio.Event()

        def wake() -> None:
            pauses_wake.set()
            self.following.wake()

        self.plane.decider.listen(_on_appends(wake))
        async with asyncio.TaskGroup() as group:
            start = group.create_task
            decider = start(self.plane.decider.run(), name="decider")
            reconciler = start(self.plane.reconciler.run(), name="reconciler")
            pauses = start(self.plane.pauses.run(pauses_wake), name="pauses")
            listening = start(self.stores.take_part(wake, self.joined), name="listening")
            self.parts.tasks[:] = [decider, reconciler, pauses, listening, *self.following.start(group)]
            polling = start(self._poll_metrics(), name="metric poller")
            admin = start(self.admin.watch(self.parts), name="admin")
            await self._read(group, stop)
            reconciler.cancel()
            await asyncio.wait([reconciler])
            await self.following.finish()
            for task in (decider, pauses, listening, polling, admin):
                task.cancel()

    async def _read(self, group: asyncio.TaskGroup, stop: asyncio.Event) -> None:
        """Read records until ``stop`` is set, then finish what is under way and leave the group."""
        leave = asyncio.Event()
        consuming = group.create_task(self.consumer.run(leave), name="consumer")
        stopping = group.create_task(stop.wait(), name="stopping")
        pausing = group.create_task(self._pause_while_unavailable(), name="pausing")
        await asyncio.wait([consuming, stopping], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        # Or it would let the consumer read on.
        pausing.cancel()
        self.admin.health.is_stopping = True
        # Leaving the group cancels calls under way, and whoever comes next then has to wait for their deadlines.
        self.consumer.pause()
        await self.plane.reconciler.drain(self.settings.stop_grace_seconds)
        leave.set()
        await asyncio.wait([consuming])

    async def _poll_metrics(self) -> None:
        if self.poller is not None:
            await self.poller.run()

    async def _pause_while_unavailable(self) -> None:
        after = self.settings.pause_after_seconds
        await pause_while_unavailable(self.plane.decider, self.consumer, after_seconds=after, clock=utc_now)


def _on_appends(wake: Callable[[], None]) -> Callable[[Commit], None]:
    def note_commit(commit: Commit) -> None:
        if commit.position:
            wake()

    return note_commit
