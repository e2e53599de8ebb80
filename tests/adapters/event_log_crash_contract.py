"""What must hold of every event store after its writer was killed; see ``event_log_contract``."""

import asyncio
import signal
from asyncio.subprocess import PIPE

from tests.adapters.append_until_killed import EVENTS_PER_BATCH
from tests.adapters.event_log_support import P0, LogStore, due_ids

_KILLS = 3
_MOST_EVENTS = 100_000


class CrashContract:
    """Fault 1 and 2 below everything else: what a transaction holds is there, or nothing of it is."""

    async def test_whatever_a_killed_writer_left_events_positions_and_outcomes_agree(self, store: LogStore) -> None:
        acknowledged = 0
        for kill in range(_KILLS):
            acknowledged = await _run_until(acknowledged + 10 + 7 * kill, store)
            log = store.open()
            place = (await log.positions([P0]))[P0].next
            assert place >= acknowledged
            assert len(await log.read(after=0, limit=_MOST_EVENTS)) == place * EVENTS_PER_BATCH
            assert len(store.outcomes()) == place
            assert len(await due_ids(log)) == place


async def _run_until(batches: int, store: LogStore) -> int:
    """Let a writer commit until it says that so many batches are in the log, kill it, and give how many it said."""
    process = await asyncio.create_subprocess_exec(*store.keep_appending(), stdout=PIPE)
    assert process.stdout is not None
    said = 0
    while said < batches:
        said = int(await process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    rest, _ = await process.communicate()
    complete = rest.decode().rpartition("\n")[0].split()
    return int(complete[-1]) if complete else said
