"""Read model: every Kafka record that was refused, and why."""

from datetime import datetime

from sqlalchemy import BigInteger, Column, Connection, Integer, Table, select

from domain.recorded import LoggedEvent
from domain.rejections import RecordsRejected
from projections.columns import count, instant, word
from projections.querying import DEFAULT_LIMIT, ViewRow, fetch
from projections.rows import Rows
from projections.time_series import TimeSeries
from projections.view import METADATA, View

REJECTED_RECORDS = Table(
    "rejected_records",
    METADATA,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("ordinal", Integer, primary_key=True, autoincrement=False),
    instant("at"),
    word("topic"),
    word("epoch"),
    count("partition"),
    Column("offset", BigInteger, nullable=False),
    word("digest"),
    Column("length", BigInteger, nullable=False),
    word("code"),
    word("field"),
    word("value"),
    word("reason"),
    word("key"),
    word("source"),
    word("id"),
)


class RejectedRecordRow(ViewRow):
    """A refused record: where it stood, SHA-256 and length (bytes) of its value, what was wrong, and who sent it.

    ``position`` is that of the event in the log, ``ordinal`` the record's place in it (from 0); ``source`` and ``id``
    are what the record said of itself.
    """

    position: int
    ordinal: int
    at: datetime
    topic: str
    epoch: str
    partition: int
    offset: int
    digest: str
    length: int
    code: str
    field: str
    value: str
    reason: str
    key: str
    source: str
    id: str


def _fold(rows: Rows, logged: LoggedEvent) -> None:
    event = logged.recorded.event
    if not isinstance(event, RecordsRejected):
        return
    origin = {"at": event.at, "topic": event.topic, "epoch": event.epoch, "partition": event.partition}
    for ordinal, record in enumerate(event.records):
        place = {"position": logged.position, "ordinal": ordinal}
        rows.of(REJECTED_RECORDS).append(place | origin | record.model_dump())


REJECTED_RECORDS_VIEW = View(
    name="rejected_records",
    version=1,
    tables=(REJECTED_RECORDS,),
    handles=frozenset({RecordsRejected}),
    fold=_fold,
    series=(TimeSeries(table=REJECTED_RECORDS, outdated=lambda table, before: table.c.at < before),),
)


def find_rejected_records(
    connection: Connection,
    *,
    topic: str | None = None,
    partition: int | None = None,
    code: str | None = None,
    source: str | None = None,
    record_id: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = DEFAULT_LIMIT,
) -> list[RejectedRecordRow]:
    """The last ``limit`` refused records from ``since`` to ``until`` inclusive, newest first."""
    table = REJECTED_RECORDS.c
    query = select(REJECTED_RECORDS)
    wanted = {"topic": topic, "partition": partition, "code": code, "source": source, "id": record_id}
    for column, value in wanted.items():
        if value is not None:
            query = query.where(table[column] == value)
    if since is not None:
        query = query.where(table.at >= since)
    if until is not None:
        query = query.where(table.at <= until)
    newest_first = (table.position.desc(), table.ordinal.desc())
    return fetch(connection, query.order_by(*newest_first).limit(limit), RejectedRecordRow)
