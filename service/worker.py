"""A worker as a process: it starts, works until a signal, and stops."""

import asyncio
import logging
import signal

from adapters.kafka.head_publisher import ensure_heads_topic
from adapters.kafka.stoppable import unless_stopped
from adapters.kafka.topics import check_copartitioning, ensure_topics
from domain.errors import RoutekeeperError
from service.admin.port import AdminPort
from service.bootstrap import utc_now
from service.garbage import look_for_garbage_seldom
from service.kafka_access import KafkaAccess, kafka_or_embedded
from service.logs import configure_logs
from service.settings import Settings
from service.supervision import leaves
from service.worker_parts import open_worker

log = logging.getLogger(__name__)


async def work(settings: Settings) -> None:
    """Run one worker until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    # Until there is something to reload, the signal must not end the process.
    loop.add_signal_handler(signal.SIGHUP, lambda: None)
    admin = AdminPort(settings.admin, clock=utc_now)
    async with admin.open(), kafka_or_embedded(settings) as kafka:
        # A broker may take long to answer; whoever asks to stop does not wait for that.
        partitions = await unless_stopped(stop, _prepare_topics(kafka, settings))
        if partitions is not None:
            async with open_worker(settings, kafka, partitions, admin) as worker:
                loop.add_signal_handler(signal.SIGHUP, worker.reload)
                where = worker.stores.log_place
                log.info("Worker is up: Kafka at %s, log at %s", kafka.connection.bootstrap_servers, where)
                await worker.run(stop)
    log.info("Worker stopped")


async def _prepare_topics(kafka: KafkaAccess, settings: Settings) -> int:
    """Make the topics that are missing, and give the number of partitions of the commands topic."""
    topics = settings.kafka.topics
    if settings.audit.heads_topic is not None:
        factor = topics.replication_factor
        if await ensure_heads_topic(kafka.connection, settings.audit.heads_topic, replication_factor=factor):
            log.info("Created topic %s", settings.audit.heads_topic)
    for created in await ensure_topics(kafka.connection, topics):
        log.info("Created topic %s", created)
    return await check_copartitioning(kafka.connection, topics)


def run(settings: Settings) -> int:
    """Run one worker to its end; gives the exit code."""
    configure_logs(settings)
    look_for_garbage_seldom()
    code = 0
    try:
        asyncio.run(work(settings))
    except* RoutekeeperError as group:
        log.critical("The worker cannot go on: %s", "; ".join(str(error) for error in leaves(group)))
        code = 1
    return code
