"""What follows the log, in a process of its own, as ``routekeeper follow`` runs it beside workers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from multiprocessing import get_context

from service.admin.port import AdminPort
from service.bootstrap import utc_now
from service.follow import follow_log
from service.garbage import look_for_garbage_seldom
from service.kafka_access import KafkaAccess
from service.settings import AdminSettings, Settings

_spawning = get_context("spawn")


@asynccontextmanager
async def distant_follower(settings: Settings, access: KafkaAccess) -> AsyncIterator[None]:
    """Follow the settings' log for the length of the block."""
    process = _spawning.Process(target=_follow, args=(settings, access), daemon=True)
    process.start()
    try:
        yield
    finally:
        process.terminate()
        await asyncio.to_thread(process.join)


def _follow(settings: Settings, access: KafkaAccess) -> None:
    look_for_garbage_seldom()
    admin = AdminPort(AdminSettings(), clock=utc_now, process="follower")
    asyncio.run(follow_log(settings, access, admin, asyncio.Event()))
