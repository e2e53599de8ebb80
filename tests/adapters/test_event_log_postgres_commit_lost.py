"""Fault 14: COMMIT was sent and its answer lost. Whatever became of it, the batch is in the log once."""

import asyncio
from collections.abc import Iterator
from threading import Event
from uuid import uuid4

import pytest

from adapters.event_store.event_log import RecorderEventLog
from adapters.event_store.mapper import EventMapper
from adapters.event_store.postgres_datastore import PostgresLimits
from handlers.ports import LogBatch, LogUnavailable
from tests.adapters.event_log_scaling_support import evaluations, kept, record, report
from tests.adapters.event_log_support import P0, due, due_ids, error_of, events, move, outcome
from tests.adapters.postgres_fault_proxy import PostgresFaultProxy
from tests.adapters.postgres_store import PostgresStore


@pytest.fixture
def proxy(postgres_url: str) -> Iterator[PostgresFaultProxy]:
    proxy = PostgresFaultProxy(postgres_url)
    yield proxy
    proxy.close()


@pytest.fixture
def store(proxy: PostgresFaultProxy, postgres_url: str) -> Iterator[PostgresStore]:
    store = PostgresStore(postgres_url, through=proxy.url)
    yield store
    store.close()


@pytest.fixture
def log(store: PostgresStore) -> RecorderEventLog:
    return store.open()


def batch_of(count: int) -> LogBatch:
    deployment = uuid4()
    return LogBatch(
        events=events(count, deployment),
        positions=[move(P0, None, 7)],
        outcomes=[outcome("one")],
        due=[due(deployment, count)],
    )


async def assert_holds_once(log: RecorderEventLog, batch: LogBatch, positions: list[int]) -> None:
    logged = await log.read(after=0, limit=100)
    assert [each.recorded for each in logged] == list(batch.events)
    assert [each.position for each in logged] == positions
    assert (await log.positions([P0]))[P0].next == 7
    assert await due_ids(log) == [work.deployment_id for work in batch.due]


async def test_a_commit_whose_answer_is_lost_is_found_and_gives_its_positions(
    proxy: PostgresFaultProxy, log: RecorderEventLog
) -> None:
    batch = batch_of(3)
    proxy.lose_next_answer_to_commit()

    positions = await log.append(batch)

    assert proxy.struck.is_set()
    await assert_holds_once(log, batch, list(positions))


async def test_a_commit_that_never_arrived_is_made_again(proxy: PostgresFaultProxy, log: RecorderEventLog) -> None:
    batch = batch_of(3)
    proxy.lose_next_commit()

    positions = await log.append(batch)

    assert proxy.struck.is_set()
    await assert_holds_once(log, batch, list(positions))


async def test_a_commit_that_the_server_still_works_on_is_waited_for(
    proxy: PostgresFaultProxy, store: PostgresStore, log: RecorderEventLog
) -> None:
    """Looking is not enough while the lost connection's transaction is open: it may still commit."""
    batch, arrival = batch_of(3), Event()
    proxy.delay_next_commit(arrival)
    append = asyncio.create_task(log.append(batch))
    await asyncio.to_thread(proxy.struck.wait)
    while not store.execute("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"):  # noqa: ASYNC110 - only the server knows
        await asyncio.sleep(0.01)

    arrival.set()

    await assert_holds_once(log, batch, list(await append))


async def test_a_database_that_goes_away_with_the_answer_is_asked_when_it_is_back(
    proxy: PostgresFaultProxy, log: RecorderEventLog
) -> None:
    batch, arrival = batch_of(3), Event()
    proxy.delay_next_commit(arrival)
    append = asyncio.create_task(log.append(batch))
    await asyncio.to_thread(proxy.struck.wait)
    arrival.set()
    proxy.go_down()
    await asyncio.sleep(0.3)

    proxy.come_back()

    await assert_holds_once(log, batch, list(await append))


@pytest.mark.parametrize("outcomes", [[], [outcome("one")]])
async def test_a_batch_without_events_is_found_by_its_positions_and_outcomes(
    proxy: PostgresFaultProxy, log: RecorderEventLog, outcomes: list[object]
) -> None:
    batch = LogBatch(positions=[move(P0, None, 7)], outcomes=[outcome("one")] if outcomes else [])
    proxy.lose_next_answer_to_commit()

    assert list(await log.append(batch)) == []
    assert (await log.positions([P0]))[P0].next == 7


def batch_beside_the_log() -> LogBatch:
    deployment = uuid4()
    return LogBatch(samples=[report(deployment)], evaluations=evaluations(deployment, record()))


async def test_samples_and_evaluations_are_found_by_themselves(
    proxy: PostgresFaultProxy, log: RecorderEventLog
) -> None:
    batch = batch_beside_the_log()
    proxy.lose_next_answer_to_commit()

    assert list(await log.append(batch)) == []

    assert proxy.struck.is_set()
    assert await kept(log, batch.samples[0].deployment_id) == (list(batch.samples), [record()])


async def test_samples_and_evaluations_that_never_arrived_are_sent_again(
    proxy: PostgresFaultProxy, log: RecorderEventLog
) -> None:
    batch = batch_beside_the_log()
    proxy.lose_next_commit()

    await log.append(batch)

    assert proxy.struck.is_set()
    assert await kept(log, batch.samples[0].deployment_id) == (list(batch.samples), [record()])


async def test_samples_that_the_server_still_works_on_are_waited_for(
    proxy: PostgresFaultProxy, store: PostgresStore, log: RecorderEventLog
) -> None:
    """They are committed beside the log, so it is not the log's lock that says when the server is done."""
    batch, arrival = batch_beside_the_log(), Event()
    proxy.delay_next_commit(arrival)
    append = asyncio.create_task(log.append(batch))
    await asyncio.to_thread(proxy.struck.wait)
    while not store.execute("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"):  # noqa: ASYNC110 - only the server knows
        await asyncio.sleep(0.01)

    arrival.set()

    await append
    assert await kept(log, batch.samples[0].deployment_id) == (list(batch.samples), [record()])


@pytest.mark.parametrize("written", [0, 1, 2])
async def test_what_somebody_else_wrote_in_the_meantime_is_not_taken_for_ones_own(
    store: PostgresStore, written: int
) -> None:
    """The same versions of the same stream, but other events, or not all of them: nothing of the lost batch's."""
    recorder, stream = store.open_recorder(), uuid4()
    batch = LogBatch(events=events(2, stream), positions=[move(P0, None, 7)])
    for version in range(1, written + 1):
        store.plant_event(stream, version, "deployment.ready.v1", b"{}")

    assert recorder._find([EventMapper().to_stored(each) for each in batch.events], batch) is None


async def test_an_answer_that_stays_away_is_no_conflict_but_not_known(
    proxy: PostgresFaultProxy, store: PostgresStore
) -> None:
    log = store.open(limits=PostgresLimits(answer_timeout_seconds=0.2))
    batch, arrival = batch_of(3), Event()
    proxy.delay_next_commit(arrival)
    append = asyncio.create_task(error_of(log.append(batch)))
    await asyncio.to_thread(proxy.struck.wait)
    proxy.go_down()

    refusal = await append

    assert type(refusal) is LogUnavailable
    proxy.come_back()
    arrival.set()
