"""Reading no more records while what was read cannot be committed."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from adapters.kafka.consumer import RecordConsumer
from handlers.decider import Decider

log = logging.getLogger(__name__)

#: How often to look (seconds), at most.
_LOOK_SECONDS = 0.5


async def pause_while_unavailable(
    decider: Decider, consumer: RecordConsumer, *, after_seconds: float, clock: Callable[[], datetime]
) -> None:
    """Pause the consumer once nothing could be committed for ``after_seconds``, and let it read on after; endless."""
    while True:
        since = decider.unavailable_since
        if since is None and consumer.is_paused:
            log.info("Reading on: commits succeed again", extra={"action": "resume-consumption"})
            consumer.resume()
        elif since is not None and not consumer.is_paused and clock() - since > timedelta(seconds=after_seconds):
            log.error("Reading is paused: no commit since %s", since.isoformat(), extra={"action": "pause-consumption"})
            consumer.pause()
        await asyncio.sleep(min(_LOOK_SECONDS, after_seconds / 4))
