"""Records that were refused: what intake writes into streams of its own, so that nothing is lost silently."""

from typing import Annotated, ClassVar
from uuid import UUID, uuid5

from pydantic import Field

from domain.message import Explanation, Message, Moment

#: Most refused records in one event (count).
MAX_REJECTED_PER_EVENT = 100

_NAMESPACE = UUID("6f0c4d4e-6d7a-5d0e-9a53-0d2f4b8a7c11")


class RejectedRecord(Message):
    """One refused record: where it stands, what identifies its bytes, and what was wrong with it.

    ``digest`` is the SHA-256 of the value in hexadecimal, ``length`` its size in bytes; ``field`` names the part at
    fault as a dotted path (empty: the record as a whole) and ``value`` shows what it held, cut to 100 characters.
    """

    offset: Annotated[int, Field(ge=0)]
    digest: str
    length: Annotated[int, Field(ge=0)]
    code: str
    field: str
    value: str
    reason: Explanation
    key: str = ""
    source: str = ""
    id: str = ""


class RecordsRejected(Message):
    """Records of one partition that were refused together."""

    name: ClassVar[str] = "intake.records-rejected.v1"
    at: Moment
    topic: str
    epoch: str
    partition: Annotated[int, Field(ge=0)]
    records: Annotated[tuple[RejectedRecord, ...], Field(min_length=1, max_length=MAX_REJECTED_PER_EVENT)]


def rejection_stream(topic: str, epoch: str, partition: int) -> UUID:
    """The id of the stream that holds what was refused from one partition of one incarnation of a topic."""
    return uuid5(_NAMESPACE, f"{topic}/{epoch}/{partition}")
