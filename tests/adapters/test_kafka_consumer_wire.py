"""What the consumer meets on the wire: every way to encode a record, and a broker that goes away for a while."""

import asyncio
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

from adapters.kafka.connection import KafkaConnection
from adapters.kafka.consumer_settings import ConsumerSettings
from adapters.kafka.embedded_broker import EmbeddedBroker
from adapters.kafka.topics import Topics, ensure_topics
from tests.kafka_support import RecordingHandler, consuming, producing


class ForeignName(str):
    """A header's name as a client may write it that does not care for UTF-8."""

    __slots__ = ()

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        """Something else."""
        return b"\xff\xfe"


async def send_with_foreign_header(producer: AIOKafkaProducer, topic: str, value: bytes) -> None:
    """Send a record that aiokafka itself can neither write nor read."""
    batch = producer.create_batch()
    batch._builder = _DefaultRecordBatchBuilderPy(
        2, 0, is_transactional=0, producer_id=-1, producer_epoch=-1, base_sequence=0, batch_size=16384
    )
    batch.append(key=b"key", value=value, timestamp=None, headers=[(ForeignName("xy"), b"1"), ("known", None)])
    await (await producer.send_batch(batch, topic, partition=0))


async def test_no_way_to_encode_a_record_stops_its_partition(
    kafka: KafkaConnection, topics: Topics, consumer_settings: ConsumerSettings
) -> None:
    """Every compression, a header name that is no text, no value at all, and a value larger than a whole fetch."""
    handler = RecordingHandler()
    large = b"x" * 900_000
    async with producing(kafka) as producer:
        for compression in ("gzip", "snappy", "lz4", "zstd"):
            other = AIOKafkaProducer(compression_type=compression, **kafka.client_options())
            await other.start()
            await other.send_and_wait(topics.commands, compression.encode() * 20, partition=0)
            await other.stop()
        await send_with_foreign_header(producer, topics.commands, b"foreign")
        await producer.send_and_wait(topics.commands, None, key=b"tombstone", partition=0)
        await producer.send_and_wait(topics.commands, large, partition=0)
        await producer.send_and_wait(topics.commands, b"last", partition=0)
    settings = replace(consumer_settings, partition_fetch_max_bytes=1000, fetch_max_bytes=5000)

    async with consuming(handler, kafka, topics, settings):
        await handler.until(values=8)

    assert handler.values == [b"gzip" * 20, b"snappy" * 20, b"lz4" * 20, b"zstd" * 20, b"foreign", None, large, b"last"]
    foreign = next(r for batch in handler.batches for r in batch if r.value == b"foreign")
    assert foreign.headers == [("\\xff\\xfe", b"1"), ("known", b"")]


async def test_kafka_is_told_how_far_the_partitions_were_read(
    kafka: KafkaConnection, topics: Topics, consumer_settings: ConsumerSettings
) -> None:
    """As information for lag monitors; at the latest when the worker stops."""
    handler = RecordingHandler()
    async with producing(kafka) as producer:
        for n in range(5):
            await producer.send_and_wait(topics.routes, b"%d" % n, partition=1)
    async with consuming(handler, kafka, topics, replace(consumer_settings, commit_interval=30.0)):
        await handler.until(values=5)

    monitor = AIOKafkaConsumer(group_id=consumer_settings.group, enable_auto_commit=False, **kafka.client_options())
    await monitor.start()
    committed = await monitor.committed(TopicPartition(topics.routes, 1))
    await monitor.stop()
    assert committed == 5


async def test_a_broker_that_is_away_for_seconds_is_read_on_from(
    tmp_path: Path, consumer_settings: ConsumerSettings
) -> None:
    """Fault 10. Nobody has to start the worker again, and nothing is lost or repeated."""
    handler, topics = RecordingHandler(), Topics(partitions=2)
    async with EmbeddedBroker(tmp_path / "broker.log") as broker:
        kafka = replace(broker.connection, request_timeout=1.0)
        await ensure_topics(kafka, topics)
        settings = replace(consumer_settings.for_embedded_broker(), session_timeout=1.0, heartbeat_interval=0.2)
        async with producing(kafka) as producer, consuming(handler, kafka, topics, settings):
            await producer.send_and_wait(topics.commands, b"before", partition=0)
            await handler.until(values=1)
            os.kill(broker.pid or 0, signal.SIGSTOP)
            # The signal is only on its way: until all its threads stand still the broker may answer.
            await asyncio.to_thread(os.waitid, os.P_PID, broker.pid or 0, os.WSTOPPED | os.WNOWAIT)
            with pytest.raises(KafkaError):
                await asyncio.wait_for(producer.send_and_wait(topics.commands, b"lost", partition=0), 20)
            os.kill(broker.pid or 0, signal.SIGCONT)
            await producer.send_and_wait(topics.commands, b"after", partition=0)
            await handler.until(values=2)
            while handler.values[-1] != b"after":
                await handler.until(values=len(handler.values) + 1)

    # What the sender gave up on may have arrived all the same.
    assert [value for value in handler.values if value != b"lost"] == [b"before", b"after"]
