"""Fault 13: the database server itself crashes and comes back a second later, under load."""

import asyncio
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from adapters.event_store.event_log import RecorderEventLog
from handlers.ports import LogBatch, LogUnavailable
from tests.adapters.event_log_support import P0, event, move, outcome
from tests.adapters.postgres_store import PostgresStore
from tests.backing_services import crash_and_recover, embedded_postgres_server

BATCHES = 400


@pytest.fixture
def server() -> Iterator[Any]:
    """A server of the test's own, because others want theirs to stay up."""
    with embedded_postgres_server() as server:
        yield server


async def test_a_server_that_crashes_and_comes_back_has_every_acknowledged_batch_once(
    server: Any,  # noqa: ANN401 - the package has no types
) -> None:
    store = PostgresStore(server.get_uri())
    log = store.open()
    writing = asyncio.create_task(write(log))
    while await log.head() < BATCHES // 4:  # noqa: ASYNC110 - only the log knows
        await asyncio.sleep(0.01)

    await asyncio.to_thread(crash_and_recover, server)
    assert not writing.done()

    await writing
    logged = await log.read(after=0, limit=10 * BATCHES)
    assert [each.recorded.version for each in logged] == list(range(1, BATCHES + 1))
    assert (await log.positions([P0]))[P0].next == BATCHES
    assert len(store.outcomes()) == BATCHES
    store.close()


async def write(log: RecorderEventLog) -> None:
    """Append batch after batch, each until it is in the log; a conflict would be somebody else's doing."""
    stream = uuid4()
    for number in range(1, BATCHES + 1):
        expected = number - 1 if number > 1 else None
        batch = LogBatch(
            events=[event(stream, number)], positions=[move(P0, expected, number)], outcomes=[outcome(str(number))]
        )
        while True:
            try:
                await log.append(batch)
            except LogUnavailable:
                await asyncio.sleep(0.05)
            else:
                break
