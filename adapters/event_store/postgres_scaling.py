"""Samples and evaluations in PostgreSQL, and what is kept for a time only: tables, statements and their columns.

Nobody reads these in the order of their positions, so they are inserted beside the log, without its lock.
"""

from collections.abc import Sequence
from typing import Final

from psycopg.rows import DictRow
from psycopg.sql import SQL, Identifier

from adapters.event_store.scaling_rows import newest_moment, packed_samples
from adapters.postgres import arrays
from domain.autoscaling.record import EvaluationRecord
from handlers.ports import DeploymentEvaluation, Retained, SampleReport

#: The tables, as they are created. Ids ascend with time, more or less, which is how what is oldest is found.
SCALING_TABLES: Final = (
    """CREATE TABLE IF NOT EXISTS {schema}.metric_samples (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
       deployment_id uuid NOT NULL, received_at timestamptz NOT NULL, newest_at timestamptz NOT NULL,
       samples bytea NOT NULL)""",
    """CREATE INDEX IF NOT EXISTS metric_samples_by_deployment
       ON {schema}.metric_samples (deployment_id, newest_at)""",
    """CREATE TABLE IF NOT EXISTS {schema}.scaling_evaluations (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
       deployment_id uuid NOT NULL, at timestamptz NOT NULL, version bigint NOT NULL, watermark timestamptz,
       previous bigint NOT NULL, recommended bigint, desired bigint NOT NULL, memories text,
       samples_until timestamptz, resumed boolean NOT NULL)""",
    """CREATE INDEX IF NOT EXISTS scaling_evaluations_by_deployment
       ON {schema}.scaling_evaluations (deployment_id, at)""",
    # The last one that holds memories may be long ago.
    """CREATE INDEX IF NOT EXISTS scaling_evaluations_with_memories
       ON {schema}.scaling_evaluations (deployment_id, at) WHERE memories IS NOT NULL""",
    """CREATE TABLE IF NOT EXISTS {schema}.retention_horizons (name text COLLATE "C" PRIMARY KEY,
       before timestamptz NOT NULL)""",
)

KEEP_SAMPLES: Final = """
    INSERT INTO {schema}.metric_samples (deployment_id, received_at, newest_at, samples)
    SELECT * FROM unnest(%s, %s, %s, %s)"""
KEEP_EVALUATIONS: Final = """
    INSERT INTO {schema}.scaling_evaluations
    (deployment_id, at, version, watermark, previous, recommended, desired, memories, samples_until, resumed)
    SELECT * FROM unnest(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"""
SELECT_SAMPLES: Final = """
    SELECT found.* FROM unnest(%s) AS given (id) CROSS JOIN LATERAL (
        SELECT id, deployment_id, received_at, samples FROM {schema}.metric_samples
        WHERE deployment_id = given.id AND newest_at >= %s ORDER BY newest_at DESC, id DESC LIMIT %s) AS found
    ORDER BY found.deployment_id, found.received_at, found.id"""
SELECT_EVALUATIONS: Final = """
    SELECT found.* FROM unnest(%s) AS given (id) CROSS JOIN (SELECT %s::timestamptz AS moment) AS since
    CROSS JOIN LATERAL (
        (SELECT * FROM {schema}.scaling_evaluations WHERE deployment_id = given.id AND at >= since.moment)
        UNION ALL
        (SELECT * FROM {schema}.scaling_evaluations
         WHERE deployment_id = given.id AND at < since.moment AND memories IS NOT NULL
         ORDER BY at DESC, id DESC LIMIT 1)) AS found
    ORDER BY found.deployment_id, found.at, found.id"""
SELECT_SAMPLES_BETWEEN: Final = """
    SELECT deployment_id, received_at, samples FROM {schema}.metric_samples
    WHERE deployment_id = %s AND newest_at >= %s AND received_at < %s ORDER BY received_at, id LIMIT %s"""
SELECT_EVALUATIONS_BETWEEN: Final = """
    SELECT * FROM (
        (SELECT * FROM {schema}.scaling_evaluations WHERE deployment_id = %(id)s AND at >= %(since)s AND at < %(until)s
         ORDER BY at, id LIMIT %(limit)s)
        UNION ALL
        (SELECT * FROM {schema}.scaling_evaluations
         WHERE deployment_id = %(id)s AND at < %(since)s AND memories IS NOT NULL
         ORDER BY at DESC, id DESC LIMIT 1)) AS found
    ORDER BY at, id"""
#: How many of these are there.
FIND_SAMPLES: Final = """
    SELECT count(*) AS count FROM unnest(%s, %s, %s, %s) AS g (id, received_at, newest_at, samples)
    WHERE EXISTS (SELECT FROM {schema}.metric_samples AS m WHERE m.deployment_id = g.id
                  AND m.newest_at = g.newest_at AND m.received_at = g.received_at AND m.samples = g.samples)"""
FIND_EVALUATIONS: Final = """
    SELECT count(*) AS count FROM unnest(%s, %s) AS g (id, at)
    WHERE EXISTS (SELECT FROM {schema}.scaling_evaluations AS e WHERE e.deployment_id = g.id AND e.at = g.at)"""
SELECT_HORIZONS: Final = "SELECT name, before FROM {schema}.retention_horizons"

# Only what comes first is looked at, so that it takes no longer where nothing is old enough.
_PRUNE: Final = """
    WITH gone AS (
        DELETE FROM {table} WHERE ctid = ANY(ARRAY(
            SELECT place FROM (SELECT ctid AS place, {time} AS moment FROM {table} ORDER BY {order} LIMIT %s) AS first
            WHERE moment < %s))
        RETURNING 1
    ), said AS (
        INSERT INTO {schema}.retention_horizons AS h (name, before) SELECT %s, %s WHERE EXISTS (SELECT FROM gone)
        ON CONFLICT (name) DO UPDATE SET before = greatest(h.before, excluded.before))
    SELECT count(*) AS count FROM gone"""

#: By which column each is old, and in which order rows became so.
_TIME_AND_ORDER: Final = {
    Retained.SAMPLES: ("received_at", "id"),
    Retained.EVALUATIONS: ("at", "id"),
    Retained.OUTCOMES: ("recorded_at", "recorded_at"),
}


def prune_statement(schema: str, what: Retained) -> bytes:
    """The statement that deletes what is old; its parameters: limit, before, name, before."""
    time, order = _TIME_AND_ORDER[what]
    names = {"schema": Identifier(schema), "table": Identifier(schema, what)}
    return SQL(_PRUNE).format(**names, time=Identifier(time), order=Identifier(order)).as_bytes(None)


def sample_columns(reports: Sequence[SampleReport]) -> Sequence[object]:
    """The columns of :data:`KEEP_SAMPLES`."""
    return [
        arrays.uuids(report.deployment_id for report in reports),
        arrays.instants(report.received_at for report in reports),
        arrays.instants(map(newest_moment, reports)),
        arrays.byteas(packed_samples(report.samples) for report in reports),
    ]


def evaluation_columns(evaluations: Sequence[DeploymentEvaluation]) -> Sequence[object]:
    """The columns of :data:`KEEP_EVALUATIONS`."""
    records = [evaluation.record for evaluation in evaluations]
    return [
        arrays.uuids(evaluation.deployment_id for evaluation in evaluations),
        arrays.instants(record.at for record in records),
        arrays.bigints(record.version for record in records),
        arrays.instants(record.watermark for record in records),
        arrays.bigints(record.previous for record in records),
        arrays.bigints(record.recommended for record in records),
        arrays.bigints(record.desired for record in records),
        arrays.texts(record.memories for record in records),
        arrays.instants(record.samples_until for record in records),
        arrays.booleans(record.resumed for record in records),
    ]


def evaluation_of(row: DictRow) -> EvaluationRecord:
    """The evaluation in a row."""
    return EvaluationRecord(**{name: row[name] for name in EvaluationRecord._fields})
