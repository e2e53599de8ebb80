"""A worker's life: start, run everything side by side, drain, stop."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from aiokafka.errors import KafkaError
from sqlalchemy.exc import InterfaceError, OperationalError

from adapters.app_proxy import HttpxClientPool
from adapters.event_store.tree_keeper import TreeFollower
from adapters.kafka.consumer import RecordConsumer
from adapters.kafka.head_publisher import ensure_heads_topic
from adapters.kafka.producer import DeadLetterProducer
from adapters.kafka.publisher import EventPublisher
from adapters.kafka.stoppable import unless_stopped
from adapters.kafka.topics import check_copartitioning, ensure_topics
from domain.errors import RoutekeeperError
from handlers.backoff import Backoff
from handlers.commit import Commit
from handlers.deployment_repository import ScalingGroupProxyTarget
from handlers.ports import EventLog, LogUnavailable
from projections.catalogue import VIEWS
from projections.runner import ProjectionRunner
from service.bootstrap import ControlPlane, assemble, utc_now
from service.embedded import find_embedded
from service.kafka_access import KafkaAccess, kafka_or_embedded
from service.logs import configure_logs
from service.proxy_targets import load_proxy_targets
from service.retention import keep_pruning
from service.settings import Settings
from service.stores import Stores, stores_of
from service.supervision import keep_running, leaves
from service.tree import open_tree_follower

log = logging.getLogger(__name__)

#: How followers of the log come back after the database was away.
_FOLLOWER_BACKOFF = Backoff(base=0.2, cap=10.0)


_Follower = Callable[[asyncio.Event, asyncio.Event], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """Everything that runs side by side in one worker."""

    settings: Settings
    plane: ControlPlane
    consumer: RecordConsumer
    publisher: EventPublisher
    runner: ProjectionRunner
    stores: Stores
    event_log: EventLog
    tree: TreeFollower

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set; then read no more, finish what is under way, and let the followers catch up.

        Raises what ends a worker: an input that cannot be read on, an event that is not understood.
        """
        views_wake, publisher_wake, tree_wake = (asyncio.Event() for _ in range(3))

        def wake() -> None:
            views_wake.set()
            publisher_wake.set()
            tree_wake.set()

        def note_commit(commit: Commit) -> None:
            if commit.position:
                wake()

        self.plane.decider.listen(note_commit)
        followers_stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            decider = group.create_task(self.plane.decider.run(), name="decider")
            reconciler = group.create_task(self.plane.reconciler.run(), name="reconciler")
            views = group.create_task(self._follow("views", self.runner.run, followers_stop, views_wake))
            published = group.create_task(self._follow("publisher", self.publisher.run, followers_stop, publisher_wake))
            tree = group.create_task(self._follow("tree", self.tree.run, followers_stop, tree_wake))
            pruning = group.create_task(self._follow("retention", self._prune, stop, followers_stop))
            listening = group.create_task(self.stores.hear_of_appends(wake), name="listening")
            await self.consumer.run(stop)
            grace = self.settings.stop_grace_seconds
            await self.plane.reconciler.drain(grace)
            reconciler.cancel()
            await asyncio.wait([reconciler])
            followers_stop.set()
            _, late = await asyncio.wait([views, published, tree], timeout=grace)
            for task in (decider, listening, pruning, *late):
                task.cancel()

    async def _prune(self, stop: asyncio.Event, _wake: asyncio.Event) -> None:
        await keep_pruning(self.event_log, self.settings.retention, utc_now, stop)

    async def _follow(self, name: str, run: _Follower, stop: asyncio.Event, wake: asyncio.Event) -> None:
        passing = (LogUnavailable, OperationalError, InterfaceError, KafkaError)

        async def follow() -> None:
            await self.stores.run_alone(name, lambda: run(stop, wake), stop)

        await keep_running(name, follow, stop=stop, passing=passing, backoff=_FOLLOWER_BACKOFF)


@asynccontextmanager
async def open_worker(settings: Settings, kafka: KafkaAccess, partitions: int) -> AsyncIterator[Worker]:
    """Open everything that a worker needs, and close it at the end; ``partitions`` (count) of the commands topic.

    Raises :class:`~domain.errors.RoutekeeperError` where the settings or the log cannot be used.
    """
    topics = settings.kafka.topics
    async with AsyncExitStack() as stack:
        stores = stores_of(settings)
        event_log = stores.open_log()
        stack.callback(event_log.close)
        engine = stores.open_views()
        stack.callback(engine.dispose)
        client_pool = HttpxClientPool(settings.proxy.connections, ca_file=settings.proxy.ca_file)
        stack.push_async_callback(client_pool.close)
        dead_letters = DeadLetterProducer(kafka.connection, topics)
        stack.push_async_callback(dead_letters.close)
        plane = assemble(
            settings,
            event_log=event_log,
            dead_letters=dead_letters,
            client_pool=client_pool,
            proxy_targets=proxy_targets_of(settings),
            partitions=partitions,
        )
        tree = await stack.enter_async_context(open_tree_follower(settings, stores, event_log, kafka))
        yield Worker(
            settings=settings,
            stores=stores,
            plane=plane,
            event_log=event_log,
            tree=tree,
            consumer=RecordConsumer(plane.intake, kafka.connection, topics, epoch=kafka.epoch, settings=kafka.consumer),
            publisher=EventPublisher(
                kafka.connection,
                topics,
                event_log,
                epoch=kafka.epoch,
                batch_size=settings.publisher.batch_size,
                poll_seconds=settings.publisher.poll_seconds,
            ),
            runner=ProjectionRunner(
                engine,
                VIEWS,
                event_log,
                batch_size=settings.projections.batch_size,
                poll_interval=settings.projections.poll_seconds,
                cached_rows=settings.projections.cached_rows,
            ),
        )


def proxy_targets_of(settings: Settings) -> Mapping[str, ScalingGroupProxyTarget]:
    """The proxies that the settings name, else an embedded one that is up."""
    if settings.proxy_targets_file is not None:
        return load_proxy_targets(settings.proxy_targets_file)
    parts = find_embedded(settings.data_dir)
    if parts is None or parts.proxy is None:
        log.warning("No app proxy is known: name one in ROUTEKEEPER_PROXY_TARGETS_FILE")
        return {}
    target = ScalingGroupProxyTarget(parts.proxy.address, parts.proxy.token)
    return dict.fromkeys(parts.proxy.groups, target)


async def work(settings: Settings) -> None:
    """Run one worker until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with kafka_or_embedded(settings) as kafka:
        # A broker may take long to answer; whoever asks to stop does not wait for that.
        partitions = await unless_stopped(stop, _prepare_topics(kafka, settings))
        if partitions is not None:
            async with open_worker(settings, kafka, partitions) as worker:
                where = worker.stores.log_place
                log.info("Worker is up: Kafka at %s, log at %s", kafka.connection.bootstrap_servers, where)
                await worker.run(stop)
    log.info("Worker stopped")


async def _prepare_topics(kafka: KafkaAccess, settings: Settings) -> int:
    """Make the topics that are missing, and give the number of partitions of the commands topic."""
    topics = settings.kafka.topics
    if settings.audit.heads_topic is not None:
        factor = topics.replication_factor
        await ensure_heads_topic(kafka.connection, settings.audit.heads_topic, replication_factor=factor)
    for created in await ensure_topics(kafka.connection, topics):
        log.info("Created topic %s", created)
    return await check_copartitioning(kafka.connection, topics)


def run(settings: Settings) -> int:
    """Run one worker to its end; gives the exit code."""
    configure_logs(settings)
    code = 0
    try:
        asyncio.run(work(settings))
    except* RoutekeeperError as group:
        log.critical("The worker cannot go on: %s", "; ".join(str(error) for error in leaves(group)))
        code = 1
    return code
