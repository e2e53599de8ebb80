"""The closed list of event types by their stable names: what is not in here is not understood, and never guessed."""

from collections.abc import Mapping
from typing import Final, get_args

from domain.recorded import AnyEvent

#: Every event type by its stable name.
EVENT_TYPES: Final[Mapping[str, type[AnyEvent]]] = {event_type.name: event_type for event_type in get_args(AnyEvent)}
