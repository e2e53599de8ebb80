"""What the event store on PostgreSQL does when the database fails it: it waits, tries again, or says that it cannot."""

import asyncio
from collections.abc import Callable, Iterator
from uuid import uuid4

import psycopg
import pytest

from adapters.event_store.event_log import RecorderEventLog
from adapters.event_store.postgres_datastore import PostgresLimits
from adapters.event_store.postgres_log import EventStoreNotReady, open_postgres_log
from adapters.postgres.address import PostgresAddress
from handlers.ports import LogBatch, LogUnavailable, VersionConflict
from tests.adapters.event_log_support import P0, error_of, event, events, move
from tests.adapters.postgres_fault_proxy import PostgresFaultProxy
from tests.adapters.postgres_store import PostgresStore

IN_PASSING = ("40001", "40P01")


@pytest.fixture
def store(postgres_url: str) -> Iterator[PostgresStore]:
    store = PostgresStore(postgres_url)
    yield store
    store.close()


@pytest.fixture
def log(store: PostgresStore) -> RecorderEventLog:
    return store.open()


@pytest.fixture
def fail_next_inserts(store: PostgresStore, log: RecorderEventLog) -> Callable[[str, int], None]:
    """Let the database refuse the next inserts of events, so many times, with an error code."""

    def fail(code: str, times: int) -> None:
        store.execute(f"""
            CREATE SEQUENCE failures;
            CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                IF nextval('{store.schema}.failures') <= {times} THEN
                    RAISE EXCEPTION 'made to fail' USING ERRCODE = '{code}';
                END IF;
                RETURN NULL;
            END $$;
            CREATE TRIGGER fail AFTER INSERT ON stored_events EXECUTE FUNCTION fail()""")

    return fail


async def test_after_all_connections_were_killed_the_next_calls_succeed(
    store: PostgresStore, log: RecorderEventLog
) -> None:
    """Fault 12."""
    stream = uuid4()
    await asyncio.gather(log.append(LogBatch(events=events(1, stream))), *(log.head() for _ in range(20)))
    store.kill_connections()

    versions, _ = await asyncio.gather(
        asyncio.gather(*(log.stream_version(stream) for _ in range(20))),
        log.append(LogBatch(events=[event(stream, 2)])),
    )

    assert set(versions) <= {1, 2}
    assert await log.stream_version(stream) == 2


async def test_under_connections_that_are_killed_all_the_time_every_batch_is_written_once(store: PostgresStore) -> None:
    """Fault 12, in the middle of work: who is told that a batch is in the log finds it there, once, and in order."""
    logs = [store.open() for _ in range(3)]
    streams = [uuid4() for _ in logs]
    done = asyncio.Event()

    async def write(log: RecorderEventLog, number: int) -> None:
        for version in range(1, 41):
            await until_available(log, LogBatch(events=[event(streams[number], version)]))

    async def kill() -> None:
        while not done.is_set():
            await asyncio.to_thread(store.kill_connections)
            await asyncio.sleep(0.02)

    killing = asyncio.create_task(kill())
    await asyncio.gather(*(write(log, number) for number, log in enumerate(logs)))
    done.set()
    await killing

    for stream in streams:
        assert [each.recorded.version for each in await logs[0].stream(stream)] == list(range(1, 41))


async def until_available(log: RecorderEventLog, batch: LogBatch) -> None:
    while True:
        try:
            await log.append(batch)
        except LogUnavailable:
            await asyncio.sleep(0.01)
        else:
            return


async def test_a_database_that_is_away_is_unavailable_at_once_and_used_again_when_it_is_back(
    postgres_url: str, store: PostgresStore
) -> None:
    """Fault 13."""
    proxy = PostgresFaultProxy(postgres_url)
    log = open_postgres_log(PostgresAddress(proxy.url), schema=store.schema)
    await log.append(LogBatch(events=events(1), positions=[move(P0, None, 1)]))
    proxy.go_down()

    write = await error_of(log.append(LogBatch(events=events(1), positions=[move(P0, 1, 2)])))
    read = await error_of(log.head())
    proxy.come_back()

    assert (type(write), type(read)) == (LogUnavailable, LogUnavailable)
    assert list(await log.append(LogBatch(events=events(1), positions=[move(P0, 1, 2)]))) == [2]
    log.close()
    proxy.close()


async def test_who_waits_too_long_for_the_lock_is_told_that_the_log_is_unavailable(store: PostgresStore) -> None:
    """Fault 15."""
    log, holder = store.open(limits=PostgresLimits(lock_timeout_seconds=0.1)), store.open_recorder()
    with holder.store.get_connection() as connection, connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [holder.lock_key])
        refusal = await error_of(log.append(LogBatch(events=events(1), positions=[move(P0, None, 1)])))

    assert type(refusal) is LogUnavailable
    assert "lock timeout" in str(refusal)
    assert await log.positions([P0]) == {}
    assert len(await log.append(LogBatch(events=events(1), positions=[move(P0, None, 1)]))) == 1


async def test_a_writer_that_falls_silent_with_the_lock_does_not_stop_the_others(store: PostgresStore) -> None:
    """A process that is stopped in the middle of an append loses its transaction after the idle timeout."""
    silent = store.open_recorder(PostgresLimits(idle_timeout_seconds=0.2))
    log = store.open()
    with silent.store.connections.borrow() as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [silent.lock_key])

        positions = await log.append(LogBatch(events=events(1)))

        with pytest.raises(psycopg.Error):
            connection.execute("COMMIT")
    assert len(positions) == 1


@pytest.mark.parametrize("code", IN_PASSING)
async def test_what_fails_in_passing_is_tried_again(
    log: RecorderEventLog, fail_next_inserts: Callable[[str, int], None], code: str
) -> None:
    """Fault 15: a deadlock or a serialization failure means nothing but that somebody had to give way."""
    fail_next_inserts(code, 2)

    await log.append(LogBatch(events=events(2), positions=[move(P0, None, 1)]))

    assert len(await log.read(after=0, limit=10)) == 2


@pytest.mark.parametrize("code", [*IN_PASSING, "53100", "57014"])
async def test_what_goes_on_failing_is_unavailable_and_leaves_nothing(
    log: RecorderEventLog, fail_next_inserts: Callable[[str, int], None], code: str
) -> None:
    """Faults 15 and 23: deadlock, serialization failure, a full disk; and a statement that takes too long."""
    fail_next_inserts(code, 1000)

    refusal = await error_of(log.append(LogBatch(events=events(2), positions=[move(P0, None, 1)])))

    assert type(refusal) is LogUnavailable
    assert "made to fail" in str(refusal)
    assert await log.head() == 0
    assert await log.positions([P0]) == {}


async def test_a_position_that_is_taken_already_is_no_version_conflict(
    store: PostgresStore, log: RecorderEventLog
) -> None:
    """Deciding again would not help where the sequence of positions was set back: this needs a person."""
    await log.append(LogBatch(events=events(2)))
    store.execute("SELECT setval('stored_events_notification_id_seq', 1)")

    with pytest.raises(Exception, match="notification_id") as caught:
        await log.append(LogBatch(events=events(1)))

    assert not isinstance(caught.value, VersionConflict)


@pytest.mark.parametrize("creates", [True, False])
def test_who_reads_only_or_creates_nothing_is_told_what_is_missing(postgres_url: str, *, creates: bool) -> None:
    with pytest.raises(EventStoreNotReady, match=r"stored_events.*routekeeper init"):
        open_postgres_log(
            PostgresAddress(postgres_url), schema="nothing_here", creates_tables=creates, is_read_only=creates
        )


async def test_a_log_that_is_opened_for_reading_takes_nothing(store: PostgresStore, log: RecorderEventLog) -> None:
    reader = open_postgres_log(store.address, schema=store.schema, is_read_only=True)

    refusal = await error_of(reader.append(LogBatch(events=events(1))))

    assert type(refusal) is LogUnavailable
    assert await log.head() == 0
    reader.close()
