"""Records as causes of events, and those that are refused as events of intake's own streams."""

from collections.abc import Iterable, MutableMapping, Sequence
from datetime import datetime
from uuid import UUID

from domain.chunks import chunks
from domain.errors import CommandRejected
from domain.recorded import RecordCause, RecordedEvent
from domain.rejections import MAX_REJECTED_PER_EVENT, RecordsRejected, RejectedRecord, rejection_stream
from handlers.records import PartitionId, ReceivedRecord, Refusal, Sender

#: Longest value shown in a refusal (characters).
_VALUE_LENGTH = 100


def cause_of(record: ReceivedRecord, sender: Sender) -> RecordCause:
    """What an event says that a record led to."""
    origin = record.origin
    return RecordCause(
        topic=origin.topic,
        epoch=origin.epoch,
        partition=origin.partition,
        offset=record.offset,
        source=sender.source,
        id=sender.id,
        type=sender.type,
        actor=sender.actor,
        trace=sender.trace,
    )


def _rejected(record: ReceivedRecord, refusal: Refusal) -> RejectedRecord:
    return RejectedRecord(
        offset=record.offset,
        digest=record.digest,
        length=len(record.value or b""),
        code=refusal.code,
        field=refusal.field,
        value=refusal.value[:_VALUE_LENGTH],
        reason=refusal.reason[:2000],
        key=(record.key or b"").decode(errors="replace")[:_VALUE_LENGTH],
        source=refusal.sender.source if refusal.sender else "",
        id=refusal.sender.id if refusal.sender else "",
    )


def refusal_of(rejection: CommandRejected, sender: Sender) -> Refusal:
    """What is wrong with a record whose command was rejected."""
    return Refusal(
        code=rejection.code,
        reason=rejection.message,
        field=f"data.{rejection.field}" if rejection.field else "data",
        value="" if rejection.value is None else str(rejection.value)[:_VALUE_LENGTH],
        sender=sender,
    )


def rejection_events(
    origin: PartitionId,
    refused: Sequence[tuple[ReceivedRecord, Refusal]],
    stream_versions: MutableMapping[UUID, int],
    now: datetime,
) -> Iterable[RecordedEvent]:
    """Make the events that hold the refused records of a partition, and count its stream's version up."""
    stream = rejection_stream(origin.topic, origin.epoch, origin.partition)
    for some in chunks(refused, MAX_REJECTED_PER_EVENT):
        event = RecordsRejected(
            at=now,
            topic=origin.topic,
            epoch=origin.epoch,
            partition=origin.partition,
            records=tuple(_rejected(record, refusal) for record, refusal in some),
        )
        first = some[0][0]
        cause = RecordCause(topic=origin.topic, epoch=origin.epoch, partition=origin.partition, offset=first.offset)
        stream_versions[stream] += 1
        yield RecordedEvent(stream, stream_versions[stream], cause, event)
