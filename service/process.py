"""What every process that stays up has in common: it goes on until a signal asks it to stop."""

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable

from domain.errors import RoutekeeperError
from service.garbage import look_for_garbage_seldom
from service.logs import configure_logs
from service.settings import Settings
from service.supervision import leaves

log = logging.getLogger(__name__)


def run_process(name: str, settings: Settings, work: Callable[[Settings, asyncio.Event], Awaitable[None]]) -> int:
    """Await ``work``, whose event is set by SIGTERM or SIGINT; gives the exit code.

    It is 1 after a :class:`RoutekeeperError`, which is logged as what ended the process called ``name``.
    """
    configure_logs(settings)
    look_for_garbage_seldom()
    code = 0
    try:
        asyncio.run(_until_signal(settings, work))
    except* RoutekeeperError as group:
        log.critical("The %s cannot go on: %s", name, "; ".join(str(error) for error in leaves(group)))
        code = 1
    return code


async def _until_signal(settings: Settings, work: Callable[[Settings, asyncio.Event], Awaitable[None]]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    # Who has something to reload takes it over; until then, and elsewhere, the signal must not end the process.
    loop.add_signal_handler(signal.SIGHUP, lambda: None)
    await work(settings, stop)
