"""Whether the log still is the one that was published: a database that was restored from an older copy is not.

Everything here raises :class:`~adapters.kafka.topics.KafkaUnavailable` where Kafka does not answer in time.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from aiokafka import ConsumerRecord, TopicPartition
from pydantic import AwareDatetime, BaseModel, ValidationError

from adapters.kafka.connection import KafkaConnection
from adapters.kafka.published import INCARNATION, POSITION
from adapters.kafka.topic_reading import read_topics
from adapters.kafka.topics import Topics
from domain.errors import RoutekeeperError
from domain.incarnations import FIRST_INCARNATION
from domain.recorded import LoggedEvent

#: What to do about a log that went back.
ADVICE = (
    "An older copy of the database was restored, or another database is named. If that is meant, stop all workers and "
    "followers and run: routekeeper new-incarnation"
)


class LogWentBack(RoutekeeperError):
    """What was published of the log is not in it: going on would give positions and versions a second meaning."""


class ReadableLog(Protocol):
    """The log, as far as it is compared."""

    async def read(self, *, after: int, limit: int) -> Sequence[LoggedEvent]:
        """At most ``limit`` events behind position ``after``, in log order."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedPlace:
    """What the last record of a partition says of where the log was; ``event_id`` and ``time`` if it is an event."""

    where: str
    incarnation: int
    position: int
    event_id: str | None = None
    time: datetime | None = None


class _Event(BaseModel):
    id: str
    time: AwareDatetime


async def check_continuity(
    connection: KafkaConnection, topics: Topics, log: ReadableLog, incarnation: int, *, give_up_after: float = 30.0
) -> None:
    """Make sure that the log, of this incarnation, holds what was published last.

    Raises :class:`LogWentBack`. What is not published any more, or was not yet, cannot be missed; ``give_up_after`` is
    in seconds.
    """
    for place in await last_places(connection, (topics.events, topics.desired_routes), give_up_after=give_up_after):
        if place.incarnation < incarnation:
            continue
        if place.incarnation > incarnation or not await _holds(log, place):
            raise LogWentBack(
                f"{place.where} holds what was published of position {place.position} of the log (incarnation "
                f"{place.incarnation}), but the log does not hold that (incarnation {incarnation}). {ADVICE}"
            )


async def last_places(
    connection: KafkaConnection, names: Collection[str], *, give_up_after: float = 30.0
) -> Sequence[PublishedPlace]:
    """What the last record of each partition of these topics says."""
    found = await read_topics(connection, names, only_last=True, give_up_after=give_up_after)
    places = (_place(partition, content.records[-1]) for partition, content in found.items() if content.records)
    return [place for place in places if place is not None]


async def _holds(log: ReadableLog, place: PublishedPlace) -> bool:
    if place.position == 0:
        return True
    found = await log.read(after=place.position - 1, limit=1)
    if not found or found[0].position != place.position:
        return False
    recorded = found[0].recorded
    return place.event_id is None or (recorded.event_id, recorded.event.at) == (place.event_id, place.time)


def _place(partition: TopicPartition, record: ConsumerRecord) -> PublishedPlace | None:
    """Read it off a record; ``None`` for one that is not of this making."""
    headers = dict(record.headers)
    try:
        position = int(headers[POSITION])
        incarnation = int(headers.get(INCARNATION, FIRST_INCARNATION))
    except (KeyError, ValueError):
        return None
    where = f"topic {partition.topic}, partition {partition.partition}, offset {record.offset}"
    try:
        event = _Event.model_validate_json(record.value or b"")
    except ValidationError:
        return PublishedPlace(where=where, incarnation=incarnation, position=position)
    return PublishedPlace(where=where, incarnation=incarnation, position=position, event_id=event.id, time=event.time)
