"""Everybody who works on the log shares a lock; who must be alone with the log takes it exclusively."""

from typing import Final

from domain.errors import RoutekeeperError
from handlers.ports import EventLog
from handlers.standing_facts import read_standing_facts

#: What the lock is called.
LOG_LOCK: Final = "log"


class LogTaken(RoutekeeperError):
    """Somebody is alone with the log, and nobody else may work on it: what was read of it before may be void."""

    def __init__(self) -> None:
        super().__init__("'routekeeper new-incarnation' is at work on the log: start again when it is done")


class LogBegunAnew(RoutekeeperError):
    """A new incarnation of the log was begun while nobody saw that this process works on it: what it knows is void."""

    def __init__(self, known: int, found: int) -> None:
        super().__init__(f"the log is in incarnation {found}, and this process knows incarnation {known}: start again")


async def check_incarnation(event_log: EventLog, incarnation: int) -> None:
    """Make sure that the log is still in the ``incarnation`` that a process has read of. Raises :class:`LogBegunAnew`.

    To be asked once the lock is shared, as before that, or between two sessions, somebody may have been alone.
    """
    found = (await read_standing_facts(event_log)).incarnation_number
    if found != incarnation:
        raise LogBegunAnew(incarnation, found)
