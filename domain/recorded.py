"""Events as the log holds them: with their place in a stream and what caused them."""

from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple
from uuid import UUID

from pydantic import Field

from domain.events import DeploymentEvent
from domain.incarnations import IncarnationBegun
from domain.message import Message, Name
from domain.pauses import PauseEvent
from domain.rejections import RecordsRejected
from domain.trace import TraceContext

#: What is in streams that are no deployment's.
SystemEvent = RecordsRejected | PauseEvent | IncarnationBegun

#: What streams are made of.
AnyEvent = DeploymentEvent | SystemEvent


#: The trace that led here, if one did; what was stored before there were traces has none, and neither says so.
Trace = Annotated[TraceContext | None, Field(exclude_if=lambda trace: trace is None)]


class RecordCause(Message):
    """A Kafka record: where it stood, and who sent it by its own account (CloudEvents source, id, type; actor)."""

    kind: Literal["record"] = "record"
    topic: str
    epoch: str
    partition: Annotated[int, Field(ge=0)]
    offset: Annotated[int, Field(ge=0)]
    source: str = ""
    id: str = ""
    type: str = ""
    actor: str = ""
    trace: Trace = None


class OperationCause(Message):
    """An operation that Routekeeper did of itself."""

    kind: Literal["operation"] = "operation"
    operation: Name
    trace: Trace = None


#: What led to an event.
Cause = Annotated[RecordCause | OperationCause, Field(discriminator="kind")]


class RecordedEvent(NamedTuple):
    """The ``version``-th event (from 1) of a stream: a deployment's, or one of Routekeeper's own.

    A tuple like :class:`LoggedEvent`: every event that is read is put into both, at a third of a dataclass's time.
    """

    stream_id: UUID
    version: int
    cause: RecordCause | OperationCause
    event: AnyEvent

    @property
    def event_id(self) -> str:
        """The same for the same event wherever it is read."""
        return f"{self.stream_id}:{self.version}"


class LoggedEvent(NamedTuple):
    """A recorded event and its ``position`` in the whole log (from 1, ascending, with gaps)."""

    position: int
    recorded: RecordedEvent


@dataclass(frozen=True, slots=True)
class UnreadableEvent:
    """A row of the log at ``position`` that this version cannot make sense of, for a ``reason`` (one line).

    The nil stream and ``version`` 0 where the row has none.
    """

    position: int
    stream_id: UUID
    version: int
    type: str
    reason: str

    @property
    def event_id(self) -> str:
        """What a readable event in its place would be called."""
        return f"{self.stream_id}:{self.version}"
