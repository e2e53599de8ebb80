"""What a newer version leaves in the log: an event of a type that this version does not know."""

from uuid import UUID

from eventsourcing.persistence import StoredEvent

from adapters.event_store.event_log import RecorderEventLog
from handlers.ports import LogBatch

FUTURE_TYPE = "deployment.from-the-future.v9"


def append_from_the_future(log: RecorderEventLog, stream_id: UUID, version: int) -> int:
    """Append it by the store's own means, and give its position."""
    stored = StoredEvent(stream_id, version, FUTURE_TYPE, b"{}")
    [position] = log._recorder.insert_batch([stored], LogBatch())
    return position
