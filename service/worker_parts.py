"""Opens everything that a worker needs, in order, and closes it in the opposite one."""

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from adapters.app_proxy import AppProxyClientPool
from adapters.kafka.consumer import RecordConsumer
from adapters.kafka.continuity import check_continuity
from adapters.kafka.producer import DeadLetterProducer
from handlers.metric_poller import MetricPoller
from handlers.standing_facts import read_standing_facts
from service.admin.deciding import DecidingSubject
from service.admin.health import ProcessParts
from service.admin.port import AdminPort
from service.bootstrap import ControlPlane, Observers, assemble
from service.following import Following, open_following
from service.kafka_access import KafkaAccess
from service.log_sharing import check_incarnation
from service.prometheus import metric_poller, open_prometheus
from service.proxy_targets import ProxyTargets, client_pool_of, proxy_targets_of, read_certificates
from service.settings import Settings
from service.stores import stores_of
from service.targets_reload import TargetsReload
from service.tracing import exported_traces
from service.worker_life import Worker

log = logging.getLogger(__name__)


@asynccontextmanager
async def open_worker(
    settings: Settings, kafka: KafkaAccess, partitions: int, admin: AdminPort
) -> AsyncIterator[Worker]:
    """Open everything that a worker needs, and close it at the end; ``partitions`` (count) of the commands topic.

    How the worker is, ``admin`` tells. Raises :class:`~domain.errors.RoutekeeperError` where the settings or the log
    cannot be used.
    """
    topics = settings.kafka.topics
    async with AsyncExitStack() as stack:
        stores = stores_of(settings)
        event_log = stores.open_log()
        stack.callback(event_log.close)
        standing = await read_standing_facts(event_log)
        await check_continuity(kafka.connection, topics, event_log, standing.incarnation_number)
        client_pool = client_pool_of(settings)
        stack.push_async_callback(client_pool.close)
        targets = ProxyTargets(proxy_targets_of(settings))
        await client_pool.trust(read_certificates(client_pool, targets))
        if not targets:
            log.warning("No app proxy is known: name one in ROUTEKEEPER_PROXY_TARGETS_FILE")
        dead_letters = DeadLetterProducer(kafka.connection, topics)
        stack.push_async_callback(dead_letters.close)
        plane = assemble(
            settings,
            event_log=event_log,
            dead_letters=dead_letters,
            client_pool=client_pool,
            proxy_targets=targets,
            partitions=partitions,
            standing=standing,
            observers=Observers(telemetry=admin.telemetry, tracer=stack.enter_context(exported_traces())),
        )
        consumer = _consumer(settings, kafka, plane)
        following = Following()
        if settings.follow_log:
            opening = open_following(
                settings,
                stores,
                event_log,
                kafka,
                incarnation=standing.incarnation_number,
                gauges=admin.following,
            )
            following = await stack.enter_async_context(opening)
        else:
            log.info("The log is followed elsewhere: by processes 'routekeeper follow'")
        yield Worker(
            settings=settings,
            reload=_open_reload(settings, targets, client_pool, plane, stack).request,
            stores=stores,
            joined=partial(check_incarnation, event_log, standing.incarnation_number),
            plane=plane,
            poller=await _open_poller(settings, plane, stack),
            consumer=consumer,
            following=following,
            admin=admin,
            parts=ProcessParts(
                event_log=event_log, subjects=[_deciding(settings, plane, consumer, admin), *following.subjects]
            ),
        )


def _deciding(settings: Settings, plane: ControlPlane, consumer: RecordConsumer, admin: AdminPort) -> DecidingSubject:
    return DecidingSubject(
        decider=plane.decider,
        consumer=consumer,
        reconciler=plane.reconciler,
        gate=plane.gate,
        proxy_calls=plane.proxy_calls,
        gauges=admin.deciding,
        refresh_seconds=settings.admin.refresh_seconds,
    )


def _open_reload(
    settings: Settings, targets: ProxyTargets, pool: AppProxyClientPool, plane: ControlPlane, stack: AsyncExitStack
) -> TargetsReload:
    reload = TargetsReload(settings, targets, pool, plane.reconciler.look_again)
    stack.push_async_callback(reload.close)
    return reload


def _consumer(settings: Settings, kafka: KafkaAccess, plane: ControlPlane) -> RecordConsumer:
    return RecordConsumer(
        plane.intake,
        kafka.connection,
        settings.kafka.topics,
        epoch=kafka.epoch,
        settings=kafka.consumer,
        resized=plane.intake.resized,
    )


async def _open_poller(settings: Settings, plane: ControlPlane, stack: AsyncExitStack) -> MetricPoller | None:
    queries = open_prometheus(settings.prometheus)
    if queries is None:
        return None
    stack.push_async_callback(queries.close)
    return metric_poller(settings.prometheus, queries, plane)
