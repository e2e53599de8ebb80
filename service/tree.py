"""The log's tree, put together by the settings: who follows the log, who signs heads, and where they are published."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from adapters.event_store.event_log import RecorderEventLog
from adapters.event_store.tree_keeper import Sign, TreeFollower, TreeKeeper
from adapters.event_store.tree_store import TreeStore
from adapters.kafka.head_publisher import HeadPublisher
from adapters.signatures import SigningKey
from service.bootstrap import utc_now
from service.kafka_access import KafkaAccess
from service.settings import Settings
from service.stores import Stores


def tree_keeper(settings: Settings, tree: TreeStore) -> TreeKeeper:
    """What appends leaves and writes heads. Raises :class:`~adapters.signatures.KeyUnusable`."""
    return TreeKeeper(tree, batch_size=settings.audit.batch_size, sign=_signing(settings))


@asynccontextmanager
async def open_tree_follower(
    settings: Settings, stores: Stores, event_log: RecorderEventLog, kafka: KafkaAccess
) -> AsyncIterator[TreeFollower]:
    """What lets the tree follow the log in a worker. Raises :class:`~adapters.signatures.KeyUnusable`."""
    async with AsyncExitStack() as stack:
        tree = stores.open_tree()
        stack.callback(tree.close)
        publish = None
        if settings.audit.heads_topic is not None:
            heads = HeadPublisher(kafka.connection, settings.audit.heads_topic, tree, event_log, epoch=kafka.epoch)
            stack.push_async_callback(heads.close)
            publish = heads.publish
        yield TreeFollower(tree_keeper(settings, tree), clock=utc_now, limits=settings.audit, publish=publish)


def _signing(settings: Settings) -> Sign | None:
    file = settings.audit.signing_key_file
    return None if file is None else SigningKey.from_file(file).sign
