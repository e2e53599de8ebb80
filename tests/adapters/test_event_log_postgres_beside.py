"""On PostgreSQL, samples and evaluations do not wait for those who append to the log, and take no more round trips."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from adapters.event_store.postgres_datastore import PostgresLimits
from handlers.ports import LogBatch, LogUnavailable
from tests.adapters.event_log_scaling_support import evaluations, kept, record, report
from tests.adapters.event_log_support import P0, due, error_of, events, move, outcome
from tests.adapters.postgres_store import PostgresStore

IMPATIENT = PostgresLimits(lock_timeout_seconds=0.1)


@pytest.fixture
def store(postgres_url: str) -> Iterator[PostgresStore]:
    store = PostgresStore(postgres_url)
    yield store
    store.close()


async def test_samples_evaluations_and_positions_do_not_wait_for_the_log(store: PostgresStore) -> None:
    log, holder, deployment = store.open(limits=IMPATIENT), store.open_recorder(), uuid4()
    batch = LogBatch(
        positions=[move(P0, None, 1)], samples=[report(deployment)], evaluations=evaluations(deployment, record())
    )

    with holder.store.get_connection() as connection, connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [holder.lock_key])
        await log.append(batch)

    assert await kept(log, deployment) == ([report(deployment)], [record()])
    assert (await log.positions([P0]))[P0].next == 1


@pytest.mark.parametrize("part", ["events", "outcomes", "due"])
async def test_with_anything_that_has_an_order_they_wait(store: PostgresStore, part: str) -> None:
    log, holder, deployment = store.open(limits=IMPATIENT), store.open_recorder(), uuid4()
    batch = {
        "events": LogBatch(events=events(1), samples=[report(deployment)]),
        "outcomes": LogBatch(outcomes=[outcome("one")], samples=[report(deployment)]),
        "due": LogBatch(due=[due(deployment, 1)], samples=[report(deployment)]),
    }[part]

    with holder.store.get_connection() as connection, connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [holder.lock_key])
        refusal = await error_of(log.append(batch))

    assert type(refusal) is LogUnavailable
    assert await kept(log, deployment) == ((), ())


async def test_those_who_write_beside_the_log_do_not_wait_for_each_other(store: PostgresStore) -> None:
    log, holder, deployment = store.open(limits=IMPATIENT), store.open_recorder(), uuid4()

    with holder.store.get_connection() as connection, connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock_shared(%s)", [holder.beside_key])
        await log.append(LogBatch(samples=[report(deployment)]))

    assert await kept(log, deployment) == ([report(deployment)], ())
