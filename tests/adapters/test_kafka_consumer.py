import asyncio
from dataclasses import replace

import pytest

from adapters.kafka.connection import KafkaConnection
from adapters.kafka.consumer import RecordConsumer
from adapters.kafka.consumer_settings import ConsumerSettings
from adapters.kafka.topics import Topics
from handlers.backoff import Backoff
from handlers.consumption import TopicRecreated
from handlers.ports import DeadLettersUnavailable, LogUnavailable, Position, PositionConflict
from handlers.records import PartitionId
from tests.kafka_support import RecordingHandler, consuming, producing

FAST = Backoff(base=0.01, cap=0.05)


@pytest.fixture
def settings(consumer_settings: ConsumerSettings) -> ConsumerSettings:
    """Settings that try again at once."""
    return replace(consumer_settings, backoff=FAST, confirm_within=0.5)


async def test_records_are_read_in_order_and_again_only_from_the_stored_position(
    kafka: KafkaConnection, topics: Topics, settings: ConsumerSettings
) -> None:
    """A restart repeats nothing and skips nothing, whatever Kafka believes of the position."""
    handler = RecordingHandler()
    async with producing(kafka) as producer:
        for n in range(10):
            await producer.send_and_wait(topics.commands, b"%d" % n, partition=0)
        async with consuming(handler, kafka, topics, settings) as consumer:
            await handler.until(values=10)
            assert len(consumer.assignment) == 6
        assert handler.held == set()
        # given that the last two were handled, but not stored
        origin = PartitionId(topics.commands, "one", 0)
        handler.positions[origin] = Position(next=8, digest=_digest(handler, 7))
        await producer.send_and_wait(topics.commands, b"10", partition=0)
        async with consuming(handler, kafka, topics, settings):
            await handler.until(values=13)

    assert handler.values == [b"%d" % n for n in (*range(10), 8, 9, 10)]


def _digest(handler: RecordingHandler, offset: int) -> str:
    return next(r.digest for batch in handler.batches for r in batch if r.offset == offset)


async def test_a_batch_that_could_not_be_committed_is_read_again(
    kafka: KafkaConnection, topics: Topics, settings: ConsumerSettings
) -> None:
    """Whoever moved the position, and whichever store was away: nothing is lost, and order is kept."""
    handler = RecordingHandler()
    handler.failures = [
        PositionConflict([PartitionId(topics.commands, "one", 0)]),
        LogUnavailable("away"),
        DeadLettersUnavailable("away"),
    ]
    async with producing(kafka) as producer:
        for n in range(5):
            await producer.send_and_wait(topics.commands, b"%d" % n, partition=0)
        async with consuming(handler, kafka, topics, settings):
            await handler.until(values=5)
            # when another worker has moved the position meanwhile
            origin = PartitionId(topics.commands, "one", 0)
            digest = _digest(handler, 4)
            for n in (5, 6):
                handler.gate.clear()
                await producer.send_and_wait(topics.commands, b"%d" % n, partition=0)
            handler.failures = [PositionConflict([origin])]
            handler.positions[origin] = Position(next=5, digest=digest)
            handler.gate.set()
            await handler.until(values=7)

    assert handler.values == [b"%d" % n for n in range(7)]
    assert not handler.failures


async def test_commands_come_before_metrics_and_a_batch_has_a_limit(
    kafka: KafkaConnection, topics: Topics, settings: ConsumerSettings
) -> None:
    """Within what is there to be handled, a flood of samples does not hold up commands."""
    handler = RecordingHandler()
    async with producing(kafka) as producer:
        for topic in (topics.metrics, topics.commands):
            for n in range(60):
                await producer.send_and_wait(topic, b"%d" % n, partition=n % 2)
        async with consuming(handler, kafka, topics, replace(settings, max_records=20)) as consumer:
            consumer.pause()
            await handler.until(held=6)
            consumer.resume()
            await handler.until(values=120)

    assert max(map(len, handler.batches)) <= 20
    for batch in handler.batches:
        are_metrics = [record.origin.topic == topics.metrics for record in batch]
        assert are_metrics == sorted(are_metrics)


async def test_a_paused_consumer_reads_nothing_and_stays_in_the_group(
    kafka: KafkaConnection, topics: Topics, settings: ConsumerSettings
) -> None:
    """What arrives meanwhile is there when it goes on."""
    handler = RecordingHandler()
    async with producing(kafka) as producer, consuming(handler, kafka, topics, settings) as consumer:
        await producer.send_and_wait(topics.routes, b"before", partition=1)
        await handler.until(values=1)
        consumer.pause()
        await _polls(consumer)
        await producer.send_and_wait(topics.routes, b"while", partition=1)
        await _polls(consumer)
        assert handler.values == [b"before"]
        assert handler.calls.count("assigned") == 1
        consumer.resume()
        await handler.until(values=2)

    assert handler.values == [b"before", b"while"]


async def _polls(consumer: RecordConsumer) -> None:
    """Let the consumer look for records at least twice."""
    membership = consumer._membership
    assert membership is not None
    poll, polled, done = membership._poll, 0, asyncio.Event()

    async def counted(stop: asyncio.Event) -> object:
        nonlocal polled
        polled += 1
        if polled > 2:
            done.set()
        return await poll(stop)

    membership._poll = counted  # type: ignore[assignment,method-assign] # watched, and left as it is
    async with asyncio.timeout(10):
        await done.wait()
    membership._poll = poll  # type: ignore[method-assign] # as it was


async def test_partitions_move_between_workers_without_loss_or_repetition(
    kafka: KafkaConnection, topics: Topics, settings: ConsumerSettings
) -> None:
    """Both share the stored positions, as workers share a database."""
    first, second = RecordingHandler(), RecordingHandler()
    second.positions = first.positions
    async with producing(kafka) as producer, consuming(second, kafka, topics, settings):
        await second.until(held=6)
        async with consuming(first, kafka, topics, settings):
            await first.until(held=3)
            for n in range(20):
                await producer.send_and_wait(topics.commands, b"%d" % n, partition=n % 2)
            await first.until(values=10)
            await second.until(values=10)
            assert first.held.isdisjoint(second.held)
        await second.until(held=6)
        for n in range(20, 24):
            await producer.send_and_wait(topics.commands, b"%d" % n, partition=n % 2)
        await second.until(values=14)

    assert sorted(filter(None, [*first.values, *second.values])) == sorted(b"%d" % n for n in range(24))


async def test_a_recreated_topic_stops_the_consumer_loudly(
    kafka: KafkaConnection, topics: Topics, settings: ConsumerSettings
) -> None:
    """Fault 11. Both where its end lies before the position, and where another record stands in its place."""
    handler = RecordingHandler()
    origin = PartitionId(topics.commands, "one", 0)
    async with producing(kafka) as producer:
        for n in range(3):
            await producer.send_and_wait(topics.commands, b"%d" % n, partition=0)
    for position, message in (
        (Position(next=2, digest="another"), r"offset 1 is not the one that was handled before"),
        (Position(next=90, digest="another"), r"the next offset to read is 90, but the partition ends at 3"),
    ):
        handler.positions[origin] = position
        consumer = RecordConsumer(
            handler, kafka, topics, epoch="one", settings=replace(settings, group=f"{settings.group}-{position.next}")
        )
        with pytest.raises(TopicRecreated, match=f"topic {topics.commands}, partition 0.*{message}"):
            await asyncio.wait_for(consumer.run(asyncio.Event()), 20)

    assert handler.values == []
    assert handler.held == set()


async def test_an_error_of_the_handler_ends_the_consumer(
    kafka: KafkaConnection, topics: Topics, settings: ConsumerSettings
) -> None:
    """What is not known to pass must not be tried again and again in silence."""
    handler = RecordingHandler()
    handler.failures = [ZeroDivisionError("a bug")]
    async with producing(kafka) as producer:
        await producer.send_and_wait(topics.commands, b"1", partition=0)
    consumer = RecordConsumer(handler, kafka, topics, epoch="one", settings=settings)

    with pytest.raises(ZeroDivisionError, match="a bug"):
        await asyncio.wait_for(consumer.run(asyncio.Event()), 20)

    assert handler.calls[-1] == "revoked"


async def test_a_batch_that_takes_too_long_is_abandoned_when_the_worker_stops(
    kafka: KafkaConnection, topics: Topics, settings: ConsumerSettings
) -> None:
    """Stopping takes a bounded time, and the batch will be read again."""
    handler = RecordingHandler()
    handler.gate.clear()
    async with producing(kafka) as producer:
        await producer.send_and_wait(topics.commands, b"1", partition=0)
    async with consuming(handler, kafka, topics, replace(settings, revocation_grace=0.1)):
        await handler.until(call="handling")

    assert handler.values == []
    assert handler.calls == ["assigned", "handling", "revoked"]


async def test_stopping_does_not_wait_for_a_broker_that_is_not_there(
    topics: Topics, settings: ConsumerSettings
) -> None:
    """The consumer goes on trying until it is told to stop, and then stops at once."""
    handler, stop = RecordingHandler(), asyncio.Event()
    delays: list[float] = []

    def no_jitter() -> float:
        delays.append(0.0)
        if len(delays) == 3:
            stop.set()
        return 0.0

    nowhere = KafkaConnection(bootstrap_servers="127.0.0.1:1")
    consumer = RecordConsumer(handler, nowhere, topics, epoch="one", settings=settings, random=no_jitter)

    await asyncio.wait_for(consumer.run(stop), 20)

    assert len(delays) == 3
    assert consumer.assignment == frozenset()
