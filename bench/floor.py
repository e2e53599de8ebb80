"""The floor: the same reading and writing as Routekeeper's intake, and nothing else.

Records are fetched with aiokafka and decoded with orjson; one transaction a batch takes a lock, copies the batch into
a table of the shape of the event table, and upserts one row a deployment. Nothing is checked, decided or explained.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from typing import Final
from uuid import UUID

import orjson
import psycopg
from aiokafka import AIOKafkaConsumer, ConsumerRecord

from adapters.postgres import arrays
from bench.surroundings import BATCH, Surroundings

_TABLES: Final = """
    CREATE TABLE events (originator_id uuid NOT NULL, originator_version bigint NOT NULL, topic text, state bytea,
        notification_id BIGSERIAL, PRIMARY KEY (originator_id, originator_version));
    CREATE UNIQUE INDEX ON events (notification_id);
    CREATE TABLE view (deployment_id uuid PRIMARY KEY, replica_count bigint NOT NULL, version bigint NOT NULL)"""
_COPY: Final = "COPY events (originator_id, originator_version, topic, state) FROM STDIN (FORMAT BINARY)"
_UPSERT: Final = """
    INSERT INTO view (deployment_id, replica_count, version) SELECT * FROM unnest(%s, %s, %s)
    ON CONFLICT (deployment_id) DO UPDATE SET replica_count = excluded.replica_count, version = excluded.version"""
_TYPES: Final = ["uuid", "int8", "text", "bytea"]


class Floor:
    """Writes batches of records to a database of its own."""

    def __init__(self, address: str) -> None:
        self._connection = psycopg.connect(address, autocommit=True)
        self._connection.execute(_TABLES)
        arrays.register_arrays(self._connection)
        self._versions: Counter[UUID] = Counter()

    def write(self, records: Sequence[ConsumerRecord]) -> None:
        """Decode the records and commit what they say."""
        rows = []
        latest: dict[UUID, tuple[int, int]] = {}
        for record in records:
            envelope = orjson.loads(record.value)
            data = envelope["data"]
            key = UUID(data["deployment_id"])
            self._versions[key] += 1
            rows.append((key, self._versions[key], envelope["type"], record.value))
            latest[key] = (data["replica_count"], self._versions[key])
        with self._connection.transaction(), self._connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(1)")
            with cursor.copy(_COPY) as copy:
                copy.set_types(_TYPES)
                for row in rows:
                    copy.write_row(row)
            counts, versions = zip(*latest.values(), strict=True)
            view = [arrays.uuids(latest), arrays.bigints(counts), arrays.bigints(versions)]
            cursor.execute(_UPSERT, view, binary=True, prepare=True)

    def close(self) -> None:
        """Let go of the database."""
        self._connection.close()


async def floor_rate(site: Surroundings, topic: str, count: int) -> float:
    """Commands a second from the first batch asked for to the last one committed."""
    consumer = AIOKafkaConsumer(
        topic, auto_offset_reset="earliest", enable_auto_commit=False, **site.broker.connection.client_options()
    )
    await consumer.start()
    try:
        with closing(Floor(site.new_database())) as floor:
            begun, done = time.perf_counter(), 0
            while done < count:
                fetched = await consumer.getmany(timeout_ms=1_000, max_records=BATCH)
                if records := [record for some in fetched.values() for record in some]:
                    # In a thread, so that the next records are fetched meanwhile.
                    await asyncio.to_thread(floor.write, records)
                    done += len(records)
            return count / (time.perf_counter() - begun)
    finally:
        await consumer.stop()
