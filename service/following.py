"""What follows the log, put together by the settings: the views, the publisher, the tree, and retention."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from sqlalchemy import Engine

from adapters.event_store.event_log import RecorderEventLog
from adapters.kafka.publisher import EventPublisher
from adapters.metrics.gauges import FollowingGauges
from projections.catalogue import VIEWS
from projections.runner import ProjectionRunner
from service.admin.following import FollowingSubject
from service.admin.health import Subject
from service.bootstrap import utc_now
from service.followers import Follower
from service.kafka_access import KafkaAccess
from service.retention import keep_pruning
from service.settings import Settings
from service.stores import Stores
from service.tree import open_tree_follower


class Following:
    """The followers of a process, none where others follow the log; ``subjects`` is what is looked at of them.

    ``grace_seconds`` is how long they may take at the end.
    """

    def __init__(
        self, followers: Sequence[Follower] = (), subjects: Sequence[Subject] = (), *, grace_seconds: float = 0.0
    ) -> None:
        self.subjects = subjects
        self._followers = {follower: asyncio.Event() for follower in followers}
        self._grace_seconds = grace_seconds
        self._stop = asyncio.Event()
        self._tasks: Sequence[asyncio.Task[None]] = ()

    def wake(self) -> None:
        """Tell all of them that there is something new."""
        for wake in self._followers.values():
            wake.set()

    def start(self, group: asyncio.TaskGroup) -> Sequence[asyncio.Task[None]]:
        """Let them follow, each in a task of its own."""
        self._tasks = [
            group.create_task(follower.run(self._stop, wake), name=follower.name)
            for follower, wake in self._followers.items()
        ]
        return self._tasks

    async def finish(self) -> None:
        """Let them come to the end of the log, and end them; who takes too long is cancelled."""
        self._stop.set()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=self._grace_seconds)
            for task in late:
                task.cancel()


@asynccontextmanager
async def open_following(
    settings: Settings,
    stores: Stores,
    event_log: RecorderEventLog,
    kafka: KafkaAccess,
    *,
    incarnation: int,
    gauges: FollowingGauges,
) -> AsyncIterator[Following]:
    """Open what follows the log of this ``incarnation``; ``gauges`` show how far it is.

    Raises :class:`~adapters.signatures.KeyUnusable`, and what a database raises that cannot be used.
    """
    async with AsyncExitStack() as stack:
        views = stores.open_views()
        stack.callback(views.dispose)
        publisher = _publisher(settings, kafka, event_log, incarnation)
        tree = await stack.enter_async_context(open_tree_follower(settings, stores, event_log, kafka))

        async def prune(stop: asyncio.Event, _wake: asyncio.Event) -> None:
            await keep_pruning(event_log, settings.retention, utc_now, stop)

        follows = {
            "views": _runner(settings, views, event_log).run,
            "publisher": publisher.run,
            "tree": tree.run,
            "retention": prune,
        }
        followers = [Follower(name, follow, stores) for name, follow in follows.items()]
        subject = FollowingSubject(
            event_log=event_log,
            followers=followers,
            publisher=publisher,
            views=views,
            gauges=gauges,
            clock=utc_now,
        )
        yield Following(followers, [subject], grace_seconds=settings.stop_grace_seconds)


def _publisher(settings: Settings, kafka: KafkaAccess, event_log: RecorderEventLog, incarnation: int) -> EventPublisher:
    return EventPublisher(
        kafka.connection,
        settings.kafka.topics,
        event_log,
        epoch=kafka.epoch,
        incarnation=incarnation,
        limits=settings.publisher,
    )


def _runner(settings: Settings, views: Engine, event_log: RecorderEventLog) -> ProjectionRunner:
    return ProjectionRunner(
        views,
        VIEWS,
        event_log,
        batch_size=settings.projections.batch_size,
        poll_interval=settings.projections.poll_seconds,
        cached_rows=settings.projections.cached_rows,
        pruner=settings.retention.views_pruner(utc_now),
    )
