"""The eventsourcing library used as its documentation shows: a transaction for each record, and one for each event.

An ``EventSourcedProjection`` takes one record after the other with ``process_event``, which commits the aggregate's
event together with the record's offset; a ``ProjectionRunner`` brings one event after the other into the view.
"""

import asyncio
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

import orjson
from aiokafka import AIOKafkaConsumer
from eventsourcing.application import ProcessingEvent
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import Tracking
from eventsourcing.postgres import PostgresTrackingRecorder
from eventsourcing.projection import EventSourcedProjection, Projection, ProjectionRunner
from psycopg.conninfo import conninfo_to_dict
from psycopg.sql import SQL, Identifier

from bench.surroundings import Surroundings

_KAFKA = "kafka"


class StockDeployment(Aggregate):
    """A deployment with nothing but a number of replicas."""

    @event("Created")
    def __init__(self, deployment_id: UUID) -> None:  # noqa: ARG002 - the library makes the id of it
        self.replica_count = 0

    @staticmethod
    def create_id(deployment_id: UUID) -> UUID:
        """The id is the command's."""
        return deployment_id

    @event("ReplicaCountSet")
    def set_replica_count(self, replica_count: int) -> None:
        """Take the number over."""
        self.replica_count = replica_count


@dataclass(frozen=True)
class StockCommand:
    """What a record says."""

    deployment_id: UUID
    replica_count: int


class StockDeployments(EventSourcedProjection[UUID]):
    """Decides what is read from Kafka."""

    name = "stock"

    def policy(self, domain_event: Any, processing_event: ProcessingEvent[UUID]) -> None:  # noqa: ANN401 - as the library has it
        deployment: StockDeployment = self.repository.get(domain_event.deployment_id)
        deployment.set_replica_count(domain_event.replica_count)
        processing_event.collect_events(deployment)


class StockView(PostgresTrackingRecorder):
    """A row for each deployment."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as the library has it
        super().__init__(*args, **kwargs)
        self._table = Identifier(self.datastore.schema, "stock_view")
        self.create_table_statement = SQL(
            "CREATE TABLE IF NOT EXISTS {} (deployment_id uuid PRIMARY KEY, replica_count bigint, version bigint)"
        ).format(self._table)
        self.sql_create_statements.append(self.create_table_statement)
        self._upsert = SQL(
            "INSERT INTO {} VALUES (%s, %s, %s) ON CONFLICT (deployment_id) DO UPDATE "
            "SET replica_count = excluded.replica_count, version = excluded.version"
        ).format(self._table)

    def upsert(self, deployment_id: UUID, replica_count: int, version: int, tracking: Tracking) -> None:
        """Write a row and how far the view is."""
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)
            cursor.execute(self._upsert, (deployment_id, replica_count, version))


class StockProjection(Projection[StockView]):
    """Brings events into the view."""

    name = "stockview"

    def process_event(self, domain_event: Any, tracking: Tracking) -> None:  # noqa: ANN401 - as the library has it
        count = getattr(domain_event, "replica_count", 0)
        self.view.upsert(domain_event.originator_id, count, domain_event.originator_version, tracking)


async def stock_rate(site: Surroundings, topic: str, ids: list[UUID], count: int) -> float:
    """Commands a second of the first ``count`` of a topic, from being read to being visible in the view."""
    environment = _environment(site.new_database())
    with closing(StockDeployments(environment)) as app:
        app.save(*(StockDeployment(key) for key in ids))
        runner = ProjectionRunner(
            application_class=StockDeployments,
            projection_class=StockProjection,
            view_class=StockView,
            env=environment,
        )
        with runner:
            await asyncio.to_thread(runner.wait, app.recorder.max_notification_id(), 60.0)
            begun = time.perf_counter()
            await _read(site, topic, app, count)
            await asyncio.to_thread(runner.wait, app.recorder.max_notification_id(), 60.0)
            return count / (time.perf_counter() - begun)


async def _read(site: Surroundings, topic: str, app: StockDeployments, count: int) -> None:
    consumer = AIOKafkaConsumer(
        topic, auto_offset_reset="earliest", enable_auto_commit=False, **site.broker.connection.client_options()
    )
    await consumer.start()
    try:
        for _ in range(count):
            record = await consumer.getone()
            data = orjson.loads(record.value)["data"]
            command = StockCommand(UUID(data["deployment_id"]), data["replica_count"])
            tracking = Tracking(f"{_KAFKA}:{record.topic}:{record.partition}", record.offset)
            await asyncio.to_thread(app.process_event, cast("Any", command), tracking)
    finally:
        await consumer.stop()


def _environment(address: str) -> Mapping[str, str]:
    options = conninfo_to_dict(address)
    return {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": str(options["dbname"]),
        "POSTGRES_HOST": str(options["host"]),
        "POSTGRES_USER": str(options["user"]),
        "POSTGRES_PASSWORD": str(options.get("password") or "none"),
    }
