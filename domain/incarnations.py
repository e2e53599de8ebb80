"""Incarnations of the log: what it says of itself after an older copy of it was restored.

A log that went back does not know what happened after the copy was made. Declaring a new incarnation says so, once and
for all who read the log or what is published of it.
"""

from typing import Annotated, ClassVar, Final
from uuid import UUID

from pydantic import Field

from domain.message import Message, Moment

#: The stream that holds incarnations.
INCARNATIONS_ID: Final = UUID("5a5e0000-7061-5573-8573-000000000002")

#: The incarnation of a log that was never restored.
FIRST_INCARNATION: Final = 1


class RereadPartition(Message):
    """Records of a partition below the offset ``until`` may have been handled in an earlier incarnation."""

    topic: str
    epoch: str
    partition: Annotated[int, Field(ge=0)]
    until: Annotated[int, Field(ge=0)]


class IncarnationBegun(Message):
    """The log goes on from ``after_position``; what was published of later positions before never happened.

    Calls to app proxies that were made before it may take effect until ``settles_at``.
    """

    name: ClassVar[str] = "log.incarnation-begun.v1"
    at: Moment
    incarnation: Annotated[int, Field(gt=FIRST_INCARNATION)]
    after_position: Annotated[int, Field(ge=0)]
    settles_at: Moment
    reread: tuple[RereadPartition, ...]
    actor: str = ""

    def rereads(self, topic: str, epoch: str, partition: int, offset: int) -> bool:
        """Whether a record may have been handled before, with effects that the log does not know of."""
        return any(
            (each.topic, each.epoch, each.partition) == (topic, epoch, partition) and offset < each.until
            for each in self.reread
        )
