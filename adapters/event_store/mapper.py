"""Between recorded events and the rows of the event store: stable names instead of classes, plain JSON as state.

The library's own mapper stores import paths and resolves whatever a row names; here a closed registry decides, so
classes may move, and a row can never import anything.
"""

from collections.abc import Callable
from functools import cache, lru_cache
from typing import Annotated, Any, Generic, NamedTuple, TypeVar
from uuid import UUID

from eventsourcing.persistence import Mapper, StoredEvent, Transcoder
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from domain.recorded import AnyEvent, OperationCause, RecordCause, RecordedEvent
from domain.registry import EVENT_TYPES
from handlers.ports import EventTooLarge, UnknownEventType

#: Largest stored state of one event (bytes).
MAX_EVENT_BYTES = 512 * 1024

#: Ids of streams that are remembered by their text (count).
_STREAM_IDS = 10_000

E = TypeVar("E")


class StoredRow(NamedTuple):
    """A row of the log at position ``id`` as it stands there, which need be no event; what the library calls them.

    A tuple, because a replay makes one for each event: half a microsecond instead of two.
    """

    id: int
    originator_id: UUID | str
    originator_version: int
    topic: str
    state: bytes


class StoredState(BaseModel, Generic[E]):
    """What a row's ``state`` holds, as JSON: the event's own fields, and what caused it."""

    model_config = ConfigDict(frozen=True, revalidate_instances="never")

    cause: Annotated[RecordCause | OperationCause, Field(discriminator="kind")]
    event: E


@cache
def _decoder(name: str) -> Callable[[bytes | str], StoredState[Any]]:
    """What makes and checks the state of events of this type; a fifth faster than by way of the model's own method."""
    event_type = EVENT_TYPES[name]
    state_type = StoredState[event_type]  # type: ignore[valid-type] # the parameter is known only at run time
    return state_type.__pydantic_validator__.validate_json


def _json(message: BaseModel) -> bytes:
    return message.__pydantic_serializer__.to_json(message)


class JsonBytes(Transcoder):
    """Stands where the library wants a transcoder; the mapper below serialises by pydantic and never asks it."""

    def encode(self, obj: object) -> bytes:
        raise NotImplementedError

    def decode(self, data: bytes) -> object:
        raise NotImplementedError


class EventMapper(Mapper[UUID]):
    """Maps :class:`RecordedEvent` to :class:`StoredEvent` and back, without imports by name."""

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        super().__init__(JsonBytes())
        self._max_event_bytes = max_event_bytes

    def to_stored(self, recorded: RecordedEvent) -> StoredEvent:
        """Serialise. Raises :class:`EventTooLarge` for a state over the limit, and :class:`UnknownEventType`."""
        name = recorded.event.name
        if EVENT_TYPES.get(name) is not type(recorded.event):
            raise UnknownEventType(f"{type(recorded.event).__name__} is not the registered event of type {name!r}")
        # The same bytes as from a StoredState, at a third of the time.
        data = b'{"cause":%b,"event":%b}' % (_json(recorded.cause), _json(recorded.event))
        if len(data) > self._max_event_bytes:
            message = f"event {recorded.event_id} ({name}) has {len(data)} bytes, more than {self._max_event_bytes}"
            raise EventTooLarge(message)
        return StoredEvent(
            originator_id=recorded.stream_id, originator_version=recorded.version, topic=name, state=data
        )

    def to_recorded(self, stored: StoredEvent | StoredRow) -> RecordedEvent:
        """Deserialise. Raises :class:`UnknownEventType` for a name that is not in the registry, or another shape."""
        if not isinstance(stored.state, (bytes, str)):
            raise UnknownEventType(f"event {_event_id(stored)} has another shape: its state is no text")
        if stored.topic not in EVENT_TYPES:
            what = f"unknown event type {stored.topic!r}: this version does not know event {_event_id(stored)}"
            raise UnknownEventType(what)
        try:
            state = _decoder(stored.topic)(stored.state)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            wrong = ": ".join(filter(None, (".".join(map(str, first["loc"])), first["msg"])))
            what = f"event {_event_id(stored)} of type {stored.topic!r} has another shape: {wrong}"
            raise UnknownEventType(what) from None
        event: AnyEvent = state.event
        return RecordedEvent(_stream_id(stored), _version(stored), state.cause, event)


def place_of(stored: StoredEvent | StoredRow) -> tuple[UUID, int]:
    """The stream and the version of a row that need be no event: where they are none, the nil stream and 0."""
    try:
        return _stream_id(stored), _version(stored)
    except UnknownEventType:
        return UUID(int=0), 0


def _stream_id(stored: StoredEvent | StoredRow) -> UUID:
    stream: object = stored.originator_id
    if isinstance(stream, UUID):
        return stream
    try:
        return _uuid(str(stream))
    except ValueError:
        raise UnknownEventType(f"the stream of the row is no id: {stream!r:.80}") from None


@lru_cache(maxsize=_STREAM_IDS)
def _uuid(text: str) -> UUID:
    """Read an id: a seventh of the time where its stream was met before.

    Raises :class:`ValueError` also of another spelling, under which the database does not find the stream's events.
    """
    found = UUID(text)
    if found.hex != text:
        raise ValueError(text)
    return found


def _version(stored: StoredEvent | StoredRow) -> int:
    # SQLite keeps what is planted into a column of numbers as it is.
    version: object = stored.originator_version
    if not isinstance(version, int):
        raise UnknownEventType(f"the version of the row is no number: {version!r:.80}")
    return version


def _event_id(stored: StoredEvent | StoredRow) -> str:
    return f"{stored.originator_id}:{stored.originator_version}"
