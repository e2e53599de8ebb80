"""Many write to one log on PostgreSQL at once: nobody who follows it misses anything, and each decision counts once."""

import asyncio
from collections.abc import Iterator, Sequence

import pytest

from adapters.event_store.event_log import RecorderEventLog
from domain.events import ReplicaCountSet
from domain.recorded import LoggedEvent
from handlers.ports import LogBatch
from tests.adapters.event_log_support import events
from tests.adapters.postgres_store import PostgresStore
from tests.handlers.decision_support import DecidingWorker, create, decider_limits, deployment, set_count

WRITERS = 6
BATCHES = 40


@pytest.fixture
def store(postgres_url: str) -> Iterator[PostgresStore]:
    store = PostgresStore(postgres_url)
    yield store
    store.close()


async def test_a_reader_at_the_tail_of_a_log_with_many_writers_misses_nothing(store: PostgresStore) -> None:
    """Positions become visible in their order; with sequences alone a late commit would be passed over."""
    reader, writers = store.open(), [store.open() for _ in range(WRITERS)]
    written = asyncio.Event()
    reading = asyncio.create_task(tail(reader, written))

    await asyncio.gather(*map(write, writers))
    written.set()

    seen = await reading
    everything = await reader.read(after=0, limit=100_000)
    assert [each.position for each in seen] == [each.position for each in everything]
    assert len(seen) == WRITERS * sum(range(1, BATCHES + 1))


async def write(log: RecorderEventLog) -> None:
    for size in range(1, BATCHES + 1):
        await log.append(LogBatch(events=events(size)))


async def tail(log: RecorderEventLog, written: asyncio.Event) -> Sequence[LoggedEvent]:
    seen: list[LoggedEvent] = []
    while True:
        is_last_round = written.is_set()
        some = await log.read(after=seen[-1].position if seen else 0, limit=50)
        seen += some
        if is_last_round and not some:
            return seen


async def test_two_who_decide_for_one_deployment_take_turns(store: PostgresStore) -> None:
    """Fault 16: who loses a race for the next version loads the deployment anew and decides again."""
    workers = [DecidingWorker(store.open(), decider_limits(conflict_attempts=50)) for _ in range(2)]
    chat = deployment(1)
    await workers[0].decider.execute([create(chat)], "test")

    answers = await asyncio.gather(
        *(
            worker.decider.execute([set_count(chat, 2 * turn + number)], "test")
            for turn in range(1, 16)
            for number, worker in enumerate(workers)
        )
    )

    assert [answer.rejection for some in answers for answer in some] == [None] * 30
    stream = await workers[1].log.stream(chat)
    assert [logged.recorded.version for logged in stream] == list(range(1, len(stream) + 1))
    assert sum(isinstance(logged.recorded.event, ReplicaCountSet) for logged in stream) == 30
    for worker in workers:
        await worker.stop()
