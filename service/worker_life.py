"""What runs side by side in a worker, and in which order it ends."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from adapters.kafka.consumer import RecordConsumer
from handlers.commit import Commit
from handlers.metric_poller import MetricPoller
from service.admin.health import WorkerParts
from service.admin.port import AdminPort
from service.bootstrap import ControlPlane, utc_now
from service.consumption_pause import pause_while_unavailable
from service.followers import Follower
from service.settings import Settings
from service.stores import Stores


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """Everything that runs side by side in one worker; made by :func:`service.worker_parts.open_worker`."""

    settings: Settings
    reload: Callable[[], None]
    plane: ControlPlane
    consumer: RecordConsumer
    views: Follower
    publisher: Follower
    tree: Follower
    retention: Follower
    stores: Stores
    poller: MetricPoller | None
    admin: AdminPort
    parts: WorkerParts

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set; then read no more, finish what is under way, and let the followers catch up.

        Raises what ends a worker: an input that cannot be read on.
        """
        views_wake, publisher_wake, tree_wake, pauses_wake = (asyncio.Event() for _ in range(4))
        wake = _setting(views_wake, publisher_wake, tree_wake, pauses_wake)
        self.plane.decider.listen(_on_appends(wake))
        followers_stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            start = group.create_task
            decider = start(self.plane.decider.run(), name="decider")
            reconciler = start(self.plane.reconciler.run(), name="reconciler")
            pauses = start(self.plane.pauses.run(pauses_wake), name="pauses")
            views = start(self.views.run(followers_stop, views_wake), name="views")
            published = start(self.publisher.run(followers_stop, publisher_wake), name="publisher")
            tree = start(self.tree.run(followers_stop, tree_wake), name="tree")
            listening = start(self.stores.hear_of_appends(wake), name="listening")
            self.parts.tasks[:] = [decider, reconciler, pauses, views, published, tree, listening]
            retention = start(self.retention.run(stop, asyncio.Event()), name="retention")
            polling = start(self._poll_metrics(), name="metric poller")
            admin = start(self.admin.watch(self.parts), name="admin")
            await self._read(group, stop)
            reconciler.cancel()
            await asyncio.wait([reconciler])
            followers_stop.set()
            _, late = await asyncio.wait([views, published, tree], timeout=self.settings.stop_grace_seconds)
            for task in (decider, pauses, listening, retention, polling, admin, *late):
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


def _setting(*events: asyncio.Event) -> Callable[[], None]:
    def set_all() -> None:
        for event in events:
            event.set()

    return set_all


def _on_appends(wake: Callable[[], None]) -> Callable[[Commit], None]:
    def note_commit(commit: Commit) -> None:
        if commit.position:
            wake()

    return note_commit
