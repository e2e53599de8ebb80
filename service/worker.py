"""A worker as a process: it starts, works until a signal, and stops."""

import asyncio
import logging
import signal

from adapters.kafka.stoppable import unless_stopped
from adapters.kafka.topics import check_copartitioning
from service.admin.port import AdminPort
from service.bootstrap import utc_now
from service.kafka_access import KafkaAccess, kafka_or_embedded
from service.process import run_process
from service.settings import Settings, SettingsInvalid
from service.topics import make_missing_topics
from service.worker_parts import open_worker

log = logging.getLogger(__name__)


async def work(settings: Settings, stop: asyncio.Event) -> None:
    """Run one worker until ``stop`` is set."""
    admin = AdminPort(settings.admin, clock=utc_now)
    async with admin.open(), kafka_or_embedded(settings) as kafka:
        # A broker may take long to answer; whoever asks to stop does not wait for that.
        partitions = await unless_stopped(stop, _prepare_topics(kafka, settings))
        if partitions is not None:
            async with open_worker(settings, kafka, partitions, admin) as worker:
                asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, worker.reload)
                where = worker.stores.log_place
                log.info("Worker is up: Kafka at %s, log at %s", kafka.connection.bootstrap_servers, where)
                await worker.run(stop)
    log.info("Worker stopped")


async def _prepare_topics(kafka: KafkaAccess, settings: Settings) -> int:
    """Make the topics that are missing, and give the number of partitions of the commands topic."""
    await make_missing_topics(kafka, settings)
    return await check_copartitioning(kafka.connection, settings.kafka.topics)


def run(settings: Settings) -> int:
    """Run one worker to its end; gives the exit code. Raises :class:`SettingsInvalid` where nobody could follow it."""
    if settings.kafka.bootstrap_servers is None and not settings.follow_log:
        raise SettingsInvalid(
            "ROUTEKEEPER_FOLLOW_LOG is false, and ROUTEKEEPER_KAFKA__BOOTSTRAP_SERVERS is unset: with an embedded "
            "broker nobody but the worker can follow the log"
        )
    return run_process("worker", settings, work)
