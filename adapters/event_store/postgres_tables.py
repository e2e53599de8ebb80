"""What stands beside the events in PostgreSQL, and the statements of an append."""

from typing import Final, LiteralString

from psycopg.sql import SQL, Identifier

from adapters.event_store import postgres_scaling as scaling
from adapters.event_store.tree_postgres import TREE_TABLES
from handlers.ports import Retained

#: The tables beside the events, as they are created; text is compared by bytes, which is fastest. No index leads from
#: times to due work: without one a row is updated in place, a third faster, and the few who ask read all rows.
_TABLES: Final = (
    """CREATE TABLE IF NOT EXISTS {schema}.positions (topic text COLLATE "C", epoch text COLLATE "C", partition integer,
       next bigint NOT NULL, digest text NOT NULL, PRIMARY KEY (topic, epoch, partition)) WITH (fillfactor = 50)""",
    """CREATE TABLE IF NOT EXISTS {schema}.command_outcomes (source text COLLATE "C", id text COLLATE "C",
       outcome text NOT NULL, recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(), PRIMARY KEY (source, id))""",
    # A range index would be smaller, but says nothing any more once new rows stand where removed ones stood.
    "CREATE INDEX IF NOT EXISTS command_outcomes_by_time ON {schema}.command_outcomes (recorded_at)",
    """CREATE TABLE IF NOT EXISTS {schema}.due_work (deployment_id uuid PRIMARY KEY, hash bigint NOT NULL,
       due_at timestamptz, version bigint NOT NULL, scales boolean NOT NULL) WITH (fillfactor = 50)""",
    "CREATE TABLE IF NOT EXISTS {schema}.commits (position bigint PRIMARY KEY, committed_at timestamptz NOT NULL)",
    "CREATE INDEX IF NOT EXISTS commits_by_time ON {schema}.commits (committed_at, position)",
    """CREATE TABLE IF NOT EXISTS {schema}.followers (name text COLLATE "C" PRIMARY KEY, position bigint NOT NULL)
       WITH (fillfactor = 50)""",
    *scaling.SCALING_TABLES,
    *TREE_TABLES,
)

#: Those that nobody needs who only reads the log.
TREE_TABLE_NAMES: Final = ("tree_tiles", "tree_heads")

#: The names of all those tables.
SIDE_TABLES: Final = (
    "positions",
    "command_outcomes",
    "due_work",
    "commits",
    "followers",
    "metric_samples",
    "scaling_evaluations",
    "retention_horizons",
    *TREE_TABLE_NAMES,
)

_MOVE: Final = """
    UPDATE {schema}.positions AS p SET next = m.next, digest = m.digest
    FROM unnest(%s, %s, %s, %s, %s, %s) AS m (topic, epoch, partition, expected, next, digest)
    WHERE p.topic = m.topic AND p.epoch = m.epoch AND p.partition = m.partition AND p.next = m.expected
    RETURNING p.topic, p.epoch, p.partition"""
_PLACE: Final = """
    INSERT INTO {schema}.positions (topic, epoch, partition, next, digest) SELECT * FROM unnest(%s, %s, %s, %s, %s)
    ON CONFLICT DO NOTHING RETURNING topic, epoch, partition"""
# Fails where one is known already, and is a quarter faster than to insert those that are not and tell the others.
_KEEP_OUTCOMES: Final = """
    INSERT INTO {schema}.command_outcomes (source, id, outcome) SELECT * FROM unnest(%s, %s, %s)"""
_APPEND: Final = """
    WITH inserted AS (
        INSERT INTO {schema}.{events} (originator_id, originator_version, topic, state)
        SELECT * FROM unnest(%s, %s, %s, %s) RETURNING notification_id
    ), committed AS (
        INSERT INTO {schema}.commits (position, committed_at)
        SELECT max(notification_id), greatest(clock_timestamp(), (
            SELECT committed_at FROM {schema}.commits ORDER BY position DESC LIMIT 1)) FROM inserted)
    SELECT array_agg(notification_id ORDER BY notification_id) AS positions, pg_notify(%s, '') FROM inserted"""
_SET_DUE: Final = """
    INSERT INTO {schema}.due_work AS d (deployment_id, hash, due_at, version, scales)
    SELECT * FROM unnest(%s, %s, %s, %s, %s) ON CONFLICT (deployment_id)
    DO UPDATE SET due_at = excluded.due_at, version = excluded.version, scales = excluded.scales
    WHERE excluded.version >= d.version"""
_NOT_DUE: Final = """
    DELETE FROM {schema}.due_work AS d USING unnest(%s, %s) AS g (deployment_id, version)
    WHERE d.deployment_id = g.deployment_id AND d.version <= g.version"""
_FIND_EVENTS: Final = """
    SELECT e.notification_id, e.originator_id, e.originator_version, e.topic, e.state FROM {schema}.{events} AS e
    JOIN unnest(%s, %s) AS g (id, version) ON e.originator_id = g.id AND e.originator_version = g.version
    ORDER BY e.notification_id"""
_FIND_OUTCOMES: Final = """
    SELECT o.source, o.id, o.outcome FROM {schema}.command_outcomes AS o
    JOIN unnest(%s, %s) AS g (source, id) ON o.source = g.source AND o.id = g.id"""
_MOVE_FOLLOWER: Final = """
    INSERT INTO {schema}.followers AS f (name, position) SELECT %(name)s, %(following)s
    WHERE %(expected)s = 0 OR EXISTS (SELECT FROM {schema}.followers WHERE name = %(name)s)
    ON CONFLICT (name) DO UPDATE SET position = excluded.position WHERE f.position = %(expected)s"""
_SELECT_ROWS: Final = """
    SELECT notification_id, originator_id, originator_version, topic, state FROM {schema}.{events}
    WHERE notification_id > %s ORDER BY notification_id LIMIT %s"""
_SELECT_STREAM: Final = """
    SELECT notification_id, originator_version, topic, state FROM {schema}.{events}
    WHERE originator_id = %s ORDER BY originator_version"""
_SELECT_MANY: Final = """
    SELECT originator_id, originator_version, topic, state FROM {schema}.{events}
    WHERE originator_id = ANY(%s) ORDER BY originator_id, originator_version"""
_SELECT_POSITIONS: Final = "SELECT topic, epoch, partition, next, digest FROM {schema}.positions"
_SELECT_FOLLOWER: Final = "SELECT position FROM {schema}.followers WHERE name = %s"
_SELECT_DUE: Final = """
    SELECT deployment_id, hash, due_at, version, scales FROM {schema}.due_work
    WHERE due_at <= %s AND hash %% %s = ANY(%s) ORDER BY due_at"""
_SELECT_SCALING: Final = "SELECT deployment_id FROM {schema}.due_work WHERE scales AND hash %% %s = ANY(%s)"
_POSITION_AT: Final = """
    SELECT position FROM {schema}.commits WHERE committed_at <= %s ORDER BY committed_at DESC, position DESC LIMIT 1"""

_SELECT_COMMITS: Final = """
    SELECT position, committed_at FROM {schema}.commits
    WHERE position >= coalesce((SELECT max(position) FROM {schema}.commits WHERE position < %(first)s), %(first)s)
    AND position <= coalesce((SELECT min(position) FROM {schema}.commits WHERE position >= %(last)s), %(last)s)
    ORDER BY position"""
_LAST_COMMIT: Final = "SELECT coalesce(max(position), 0) AS position FROM {schema}.commits"


def channel_of(schema: str, events: str = "stored_events") -> str:
    """The channel on which every append to a log is announced."""
    return f"{schema}.{events}"


class LogStatements:
    """The statements of one log: its ``schema`` and its table of ``events`` filled in.

    They are bytes: what the driver puts together itself it also takes apart anew at every call, which is a tenth of the
    processor's time of an append of one event.
    """

    def __init__(self, schema: str, events: str) -> None:
        self._names = {"schema": Identifier(schema), "events": Identifier(events)}
        self.tables = [SQL(each).format(**self._names) for each in _TABLES]
        self.move = self.of(_MOVE)
        self.place = self.of(_PLACE)
        self.keep_outcomes = self.of(_KEEP_OUTCOMES)
        self.append = self.of(_APPEND)
        self.set_due = self.of(_SET_DUE)
        self.not_due = self.of(_NOT_DUE)
        self.find_events = self.of(_FIND_EVENTS)
        self.move_follower = self.of(_MOVE_FOLLOWER)
        self.select_due = self.of(_SELECT_DUE)
        self.position_at = self.of(_POSITION_AT)
        self.select_commits = self.of(_SELECT_COMMITS)
        self.last_commit = self.of(_LAST_COMMIT)
        self.select_rows = self.of(_SELECT_ROWS)
        self.select_stream = self.of(_SELECT_STREAM)
        self.select_many = self.of(_SELECT_MANY)
        self.select_positions = self.of(_SELECT_POSITIONS)
        self.find_outcomes = self.of(_FIND_OUTCOMES)
        self.select_follower = self.of(_SELECT_FOLLOWER)
        self.select_scaling = self.of(_SELECT_SCALING)
        self.keep_samples = self.of(scaling.KEEP_SAMPLES)
        self.keep_evaluations = self.of(scaling.KEEP_EVALUATIONS)
        self.select_samples = self.of(scaling.SELECT_SAMPLES)
        self.select_evaluations = self.of(scaling.SELECT_EVALUATIONS)
        self.select_samples_between = self.of(scaling.SELECT_SAMPLES_BETWEEN)
        self.select_evaluations_between = self.of(scaling.SELECT_EVALUATIONS_BETWEEN)
        self.find_samples = self.of(scaling.FIND_SAMPLES)
        self.find_evaluations = self.of(scaling.FIND_EVALUATIONS)
        self.select_horizons = self.of(scaling.SELECT_HORIZONS)
        self.prune = {what: scaling.prune_statement(schema, what) for what in Retained}

    def of(self, statement: LiteralString) -> bytes:
        """Fill the names into a statement."""
        return SQL(statement).format(**self._names).as_bytes(None)
