"""A process that follows the log, and does nothing else: it starts, follows until a signal, and stops."""

import asyncio
import logging
from contextlib import AsyncExitStack
from functools import partial

from adapters.kafka.continuity import check_continuity
from adapters.kafka.stoppable import unless_stopped
from handlers.standing_facts import read_standing_facts
from service.admin.health import ProcessParts
from service.admin.port import AdminPort
from service.bootstrap import utc_now
from service.following import open_following
from service.kafka_access import KafkaAccess, known_kafka
from service.log_sharing import check_incarnation
from service.process import run_process
from service.settings import Settings, SettingsInvalid
from service.stores import stores_of
from service.topics import make_missing_topics

log = logging.getLogger(__name__)


async def follow(settings: Settings, stop: asyncio.Event) -> None:
    """Follow the log until ``stop`` is set."""
    admin = AdminPort(settings.admin, clock=utc_now, process="follower")
    async with admin.open():
        kafka = known_kafka(settings)
        await unless_stopped(stop, make_missing_topics(kafka, settings))
        if not stop.is_set():
            await follow_log(settings, kafka, admin, stop)
    log.info("Follower stopped")


async def follow_log(settings: Settings, kafka: KafkaAccess, admin: AdminPort, stop: asyncio.Event) -> None:
    """Open the log and what follows it, and let it follow until ``stop`` is set, then to the log's end.

    How it is, ``admin`` tells. It is woken by who appends to PostgreSQL; SQLite tells nobody, so there it looks by
    itself, every ``projections.poll_seconds`` and the like. Raises :class:`~domain.errors.RoutekeeperError` where the
    settings or the log cannot be used.
    """
    async with AsyncExitStack() as stack:
        stores = stores_of(settings)
        event_log = stores.open_log()
        stack.callback(event_log.close)
        incarnation = (await read_standing_facts(event_log)).incarnation_number
        await check_continuity(kafka.connection, settings.kafka.topics, event_log, incarnation)
        following = await stack.enter_async_context(
            open_following(settings, stores, event_log, kafka, incarnation=incarnation, gauges=admin.following)
        )
        log.info("Follower is up: Kafka at %s, log at %s", kafka.connection.bootstrap_servers, stores.log_place)
        parts = ProcessParts(event_log=event_log, subjects=following.subjects)
        async with asyncio.TaskGroup() as group:
            listening = group.create_task(
                stores.take_part(following.wake, partial(check_incarnation, event_log, incarnation)), name="listening"
            )
            parts.tasks[:] = [*following.start(group), listening]
            watching = group.create_task(admin.watch(parts), name="admin")
            await stop.wait()
            admin.health.is_stopping = True
            await following.finish()
            listening.cancel()
            watching.cancel()


def run(settings: Settings) -> int:
    """Follow the log in this process; gives the exit code. Raises :class:`SettingsInvalid` where no broker is named."""
    if settings.kafka.bootstrap_servers is None:
        raise SettingsInvalid(
            "ROUTEKEEPER_KAFKA__BOOTSTRAP_SERVERS is unset: name a broker to publish to; with an embedded one the "
            "worker follows the log itself"
        )
    return run_process("follower", settings, follow)
